"""F1 and exact match of answers in words: by slow implementations of the datasets' published rules."""

import string
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as some

from aira_lib.downstream.f1 import coqa_scores, coqa_target, coqa_text, exact, f1, squad_scores, words

_WORDS = some.sampled_from(["the", "a", "An", "cat", "Cat.", "cats", "than", "--", "near", "U.S.", "don't", "42", ""])
answers = some.lists(_WORDS, max_size=7).map(" ".join)


def slow_words(answer: str) -> list[str]:
    """Letter by letter: lower case, no ASCII punctuation, then no articles, cut at spaces."""
    kept = "".join(letter for letter in answer.lower() if letter not in string.punctuation)
    return [word for word in kept.split() if word not in {"a", "an", "the"}]


def slow_f1(gold: str, answer: str) -> float:
    """Each word of the one is crossed out in the other; precision and recall of what was found."""
    left, expected, given_words = slow_words(gold), slow_words(gold), slow_words(answer)
    if not expected or not given_words:
        return 1.0 if expected == given_words else 0.0
    found = 0
    for word in given_words:
        if word in left:
            left.remove(word)
            found += 1
    if not found:
        return 0.0
    precision, recall = found / len(given_words), found / len(expected)
    return 2 * precision * recall / (precision + recall)


def slow_coqa(golds: Sequence[str], answer: str) -> float:
    if len(golds) == 1:
        return slow_f1(golds[0], answer)
    total = 0.0
    for left_out in range(len(golds)):
        total += max(slow_f1(golds[other], answer) for other in range(len(golds)) if other != left_out)
    return total / len(golds)


@given(answers, answers)
def test_f1_and_exact_are_those_of_the_slow_ones(gold: str, answer: str) -> None:
    assert words(answer) == slow_words(answer)
    assert f1(gold, answer) == pytest.approx(slow_f1(gold, answer))
    assert exact(gold, answer) == (slow_words(gold) == slow_words(answer))
    assert f1(gold, answer) == pytest.approx(f1(answer, gold))


@given(some.lists(answers, min_size=1, max_size=4), answers)
def test_coqa_leaves_each_reference_out_in_turn(golds: list[str], answer: str) -> None:
    scores = coqa_scores(golds, answer)
    assert scores["f1"] == pytest.approx(slow_coqa(golds, answer))
    assert 0 <= scores["exact"] <= scores["f1"] <= 1


@given(some.lists(answers, max_size=4), answers)
def test_squad_takes_the_best_reference_that_has_words(golds: list[str], answer: str) -> None:
    spoken = [gold for gold in golds if slow_words(gold)]
    best = max(slow_f1(gold, answer) for gold in spoken) if spoken else float(not slow_words(answer))
    assert squad_scores(golds, answer)["f1"] == pytest.approx(best)


@pytest.mark.parametrize(
    ("gold", "answer", "share", "same"),
    [
        ("The Normans", " the normans.", 1, 1),
        ("in a barn", "barn", 2 / 3, 0),  # 1 of 1 given, 1 of 2 expected
        ("10th and 11th centuries", "the 10th century", 1 / 3, 0),
        ("U.S.", "us", 1, 1),  # points go without leaving a space
        ("well-known", "well known", 0, 0),
        ("an", "the", 1, 1),  # both have no words
        ("cat", "", 0, 0),
        ("theatre", "atre", 0, 0),  # articles are whole words
        ("cat cat dog", "cat dog dog", 2 / 3, 0),  # each word counts as often as both have it
    ],
)
def test_by_hand(gold: str, answer: str, share: float, same: float) -> None:
    assert f1(gold, answer) == pytest.approx(share)
    assert exact(gold, answer) == same


def test_a_question_without_an_answer_wants_none_and_not_the_word_for_it() -> None:
    assert squad_scores([], "") == squad_scores([], " The.") == {"f1": 1.0, "exact": 1.0}
    assert squad_scores([], "unanswerable") == {"f1": 0.0, "exact": 0.0}
    assert squad_scores(["Ada", "the old house"], "old house")["exact"] == 1


def test_people_who_agree_are_no_better_than_a_model_that_agrees_with_them() -> None:
    golds = ["white", "it was white", "pink"]
    assert coqa_scores(golds, "white")["f1"] == pytest.approx((0.5 + 1 + 1) / 3)
    assert coqa_scores(golds, "white")["exact"] == pytest.approx(2 / 3)
    assert coqa_scores(["white"], "White!") == {"f1": 1.0, "exact": 1.0}


def test_the_last_question_of_a_story_is_asked() -> None:
    doc = {"story": "It is.", "questions": ["Who?", "Where?"], "answers": ["Bo", "Here"], "others": ["here", "there"]}
    assert coqa_text(doc) == "It is.\n\nQ: Who?\n\nA: Bo\n\nQ: Where?\n\nA:"
    assert coqa_target(doc) == ["Here", "there"]
