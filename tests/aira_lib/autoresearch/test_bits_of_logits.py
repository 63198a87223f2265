"""Logits of any size, in portions, and tokens without text."""

import math

import numpy as np
import pytest

from aira_lib.autoresearch.bpb import bits_per_byte, nats_of

RNG = np.random.default_rng(3)
LOGITS = RNG.normal(0, 4, (5, 7, 11)).astype(np.float32)
TOKENS = RNG.integers(0, 11, (5, 7))
SIZES = RNG.integers(0, 4, (5, 7))


def test_rows_in_portions_cost_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = nats_of(LOGITS, TOKENS)
    for places in (0.5, 1, 4, 7):  # four do not divide 5 rows of 7
        monkeypatch.setattr("aira_lib.autoresearch.bpb._MOST_WIDENED", int(places * 11))
        np.testing.assert_array_equal(nats_of(LOGITS, TOKENS), whole)


@pytest.mark.parametrize("raised", [0.0, 5.0, 1e4, 3e38])
def test_logits_gain_nothing_by_being_large(raised: float) -> None:
    """Were they taken for logarithms of probabilities, each token would cost less than nothing."""
    logits = np.full((2, 3, 8), raised, np.float32)
    np.testing.assert_allclose(nats_of(logits, np.zeros((2, 3), int)), math.log(8))
    of_each = [nats_of(LOGITS + np.float32(min(raised, 100.0)), np.full((5, 7), token)) for token in range(11)]
    np.testing.assert_allclose(np.exp(-np.stack(of_each)).sum(axis=0), 1.0)


def test_logits_are_left_as_they_were() -> None:
    for kind in (np.float32, np.float64):
        given = LOGITS.astype(kind)
        nats_of(given, TOKENS)
        np.testing.assert_array_equal(given, LOGITS.astype(kind))


def test_a_token_without_text_does_not_count_however_dear() -> None:
    sizes = np.where(np.arange(7) % 2, SIZES, 0)
    dear = nats_of(LOGITS, TOKENS)
    dear[:, ::2] = 1e9
    assert bits_per_byte(dear, sizes).value == bits_per_byte(nats_of(LOGITS, TOKENS), sizes).value


def test_one_row_has_no_standard_error_and_no_text_no_score() -> None:
    assert bits_per_byte(np.ones((1, 4)), np.ones((1, 4), int)).standard_error == math.inf
    with pytest.raises(ValueError, match="no token"):
        bits_per_byte(np.ones((1, 4)), np.zeros((1, 4), int))
