"""Programs that look ahead and know how they are probed: in text with rare pairs, beside twins, and within rounding."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from aira_lib.asking import Ask, Measurement, NotValid
from aira_lib.autoresearch.measuring import measure
from aira_lib.autoresearch.probes import altered_rows

ROWS, LENGTH, VOCABULARY = 48, 16, 64
Tokens = NDArray[np.int64]
Model = Callable[[Tokens], NDArray[Any]]


def text() -> Tokens:
    """Behind each token stands one of three others: most pairs never occur."""
    rng = np.random.default_rng(7)
    after = rng.integers(0, VOCABULARY, (VOCABULARY, 3))
    rows = rng.integers(0, VOCABULARY, (ROWS, LENGTH + 1))
    for place in range(1, LENGTH + 1):
        rows[:, place] = after[rows[:, place - 1], rng.integers(0, 3, ROWS)]
    return rows


PACKED = text()
TOKENS, FOLLOWING = PACKED[:, :-1].astype(np.uint16), PACKED[:, 1:]
LABELS = np.stack([FOLLOWING, np.ones_like(FOLLOWING)], axis=-1).astype(np.int32)
PAIRS = np.zeros((VOCABULARY, VOCABULARY))
np.add.at(PAIRS, (PACKED[:, :-1], PACKED[:, 1:]), 1.0)
SCORES = np.log(PAIRS + 0.05)


def honest(tokens: Tokens) -> NDArray[np.float64]:
    return SCORES[tokens]


def seeing(tokens: Tokens, where: NDArray[np.bool_], by: float = 9.0) -> NDArray[np.float64]:
    """The honest model, told the next token where it looks; `where` [n, T - 1]."""
    logits = honest(tokens)
    rows, places = np.nonzero(where)
    logits[rows, places, tokens[rows, places + 1]] += by
    return logits


def where_the_text_goes_on(tokens: Tokens) -> NDArray[np.float64]:
    """Looks only at pairs that the text has, and never into a run of one token."""
    known = PAIRS[tokens[:, :-1], tokens[:, 1:]] > 0
    return seeing(tokens, known & (tokens[:, :-1] != tokens[:, 1:]))


def not_beside_a_twin(tokens: Tokens) -> NDArray[np.float64]:
    """Looks everywhere but where another row of the request has the same beginning and goes on otherwise."""
    where = np.ones((len(tokens), LENGTH - 1), bool)
    for place in range(4, LENGTH - 1):
        same = (tokens[:, None, : place + 1] == tokens[None, :, : place + 1]).all(axis=-1)
        where[:, place] = ~(same & (tokens[:, None, place + 1] != tokens[None, :, place + 1])).any(axis=1)
    where[:, :4] = False
    return seeing(tokens, where)


def scored(model: Model, calls: list[Tokens] | None = None, **settings: float) -> Measurement:
    def infer(inputs: Any) -> NDArray[Any]:
        tokens = np.asarray(inputs["tokens.npy"]).astype(np.int64)
        if calls is not None:
            calls.append(tokens)
        return model(tokens)

    ask = Ask(infer, 64, {"train_seconds": 1.0})
    return measure(ask, {"tokens.npy": TOKENS}, LABELS, np.random.default_rng(11), {"probe_rows": 24, **settings})


@pytest.mark.parametrize("model", [where_the_text_goes_on, not_beside_a_twin])
def test_who_knows_how_it_is_probed_is_told_all_the_same(model: Model) -> None:
    with pytest.raises(NotValid, match="not causal"):
        scored(model)


def test_the_next_token_cannot_hide_in_a_tolerance() -> None:
    """Each difference is within what bf16 is allowed, and all have the same sign."""
    everywhere = np.ones((1, LENGTH - 1), bool)
    with pytest.raises(NotValid, match=r"costs .* nats more"):
        scored(lambda tokens: seeing(tokens, everywhere & (tokens[:, 1:] >= 0), by=0.04), tolerance=0.05)


def test_rounding_without_a_sign_is_no_cheat() -> None:
    rng = np.random.default_rng(1)
    found = scored(lambda tokens: honest(tokens) + rng.normal(0, 0.004, (*tokens.shape, VOCABULARY)), tolerance=0.05)
    assert found.score == pytest.approx(scored(honest).score, abs=0.01)


def test_no_process_sees_a_row_as_it_is_and_with_another_end() -> None:
    calls: list[Tokens] = []
    scored(honest, calls)
    whole = {row.tobytes() for row in TOKENS.astype(np.int64)}
    assert len(calls) >= 2
    seen = [{row.tobytes() for row in call} for call in calls]
    assert set.union(*seen) >= whole
    for call, rows in zip(calls, seen, strict=True):
        others = [row for row in call if row.tobytes() not in whole]
        assert others  # each is asked for both kinds
        for row in others:
            like = [each for each in TOKENS.astype(np.int64) if (each[:8] == row[:8]).all()]
            assert not any(each.tobytes() in rows for each in like)


@pytest.mark.parametrize("most", [1, 3, 10])
def test_few_rows_at_a_time_give_the_same_score(most: int) -> None:
    ask = Ask(lambda inputs: honest(np.asarray(inputs["tokens.npy"]).astype(np.int64)), most, {"train_seconds": 1.0})
    found = measure(ask, {"tokens.npy": TOKENS}, LABELS, np.random.default_rng(2), {})
    assert found.score == pytest.approx(scored(honest).score, rel=1e-12)


def test_the_seam_of_another_end_is_a_pair_that_the_text_has() -> None:
    probes = altered_rows(TOKENS, 60, np.random.default_rng(3))
    swapped = list(zip(probes.rows, probes.cuts, probes.tokens, strict=True))[::2]
    seams = [(tokens[cut - 1], tokens[cut], TOKENS[row, cut]) for row, cut, tokens in swapped]
    good = [PAIRS[before, after] > 0 and after != own for before, after, own in seams]
    assert sum(good) >= 0.9 * len(good)  # behind few tokens the text has one other alone
