"""F1 and exact match of answers in words, as SQuAD and CoQA score them; nothing is fetched for it.

The harness scores these two by packages that look a script up on a network, or that have lost the functions it uses.
The rules are those of the datasets' own scripts: case, punctuation, articles and spaces do not count.
"""

import re
import string
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

UNANSWERABLE = "unanswerable"
"""What examples in a prompt show as the answer of a question that has none."""

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


def words(answer: str) -> list[str]:
    """The words of an answer that count: lower case, without ASCII punctuation, then without a, an and the."""
    return _ARTICLES.sub(" ", answer.lower().translate(_NO_PUNCTUATION)).split()


def exact(gold: str, answer: str) -> float:
    """1 where both have the same words in the same order, else 0."""
    return float(words(gold) == words(answer))


def f1(gold: str, answer: str) -> float:
    """Harmonic mean of the shares of words that both have; where one has none, 1 if the other has none either."""
    expected, given = Counter(words(gold)), Counter(words(answer))
    if not expected or not given:
        return float(expected == given)
    common = (expected & given).total()
    return 2 * common / (expected.total() + given.total())


def squad_scores(golds: Sequence[str], answer: str) -> dict[str, float]:
    """Scores of an answer to a question of SQuADv2: the best over the references.

    References without words do not count; a question without any has no answer, and only an answer without words is
    right: the word "unanswerable" is not.
    """
    references = [gold for gold in golds if words(gold)] or [""]
    return {
        "f1": max(f1(gold, answer) for gold in references),
        "exact": max(exact(gold, answer) for gold in references),
    }


def coqa_scores(golds: Sequence[str], answer: str) -> dict[str, float]:
    """Scores of an answer of CoQA, in which people are compared to each other.

    Each reference is left out in turn, and the best over the others is taken; the mean over these is the score. A
    single reference is compared to as it is.
    """
    held_out = [[*golds[:i], *golds[i + 1 :]] for i in range(len(golds))] if len(golds) > 1 else [list(golds)]
    return {
        "f1": sum(max(f1(gold, answer) for gold in others) for others in held_out) / len(held_out),
        "exact": sum(max(exact(gold, answer) for gold in others) for others in held_out) / len(held_out),
    }


def squad_target(doc: Mapping[str, Any]) -> str:
    """The answer that an example of SQuADv2 shows; it begins with a space of its own, as the harness has it."""
    answers = doc["answers"]["text"]
    return " " + (answers[0] if answers else UNANSWERABLE)


def squad_results(doc: Mapping[str, Any], results: Sequence[str]) -> dict[str, float]:
    """For the harness: scores of one item."""
    return squad_scores(doc["answers"]["text"], results[0])


def coqa_text(doc: Mapping[str, Any]) -> str:
    """The prompt of an item of CoQA: the story, what was asked and answered, and the last question."""
    turns = [f"Q: {question}\n\nA:" for question in doc["questions"]]
    told = [f"{turn} {answer}\n\n" for turn, answer in zip(turns, doc["answers"][:-1], strict=False)]
    return f"{doc['story']}\n\n{''.join(told)}{turns[-1]}"


def coqa_target(doc: Mapping[str, Any]) -> list[str]:
    """The references of the last question: its answer, and further people's that differ in more than case."""
    references = [doc["answers"][-1]]
    for other in doc["others"]:
        if other.lower() not in [each.lower() for each in references]:
            references.append(other)
    return references


def coqa_results(doc: Mapping[str, Any], results: Sequence[str]) -> dict[str, float]:
    """For the harness: scores of one item. What comes after the first line of an answer does not count."""
    return coqa_scores(coqa_target(doc), results[0].strip().split("\n")[0])
