"""Bits per byte of logits against arithmetic one token at a time, and what logits cannot gain by being odd."""

import math

import numpy as np
import pytest

from aira_lib.autoresearch.bpb import bits_per_byte, log_softmax, nats_of

RNG = np.random.default_rng(3)
LOGITS = RNG.normal(0, 4, (5, 7, 11)).astype(np.float32)
TOKENS = RNG.integers(0, 11, (5, 7))
SIZES = RNG.integers(0, 4, (5, 7))


def slow() -> tuple[float, list[float], list[int]]:
    """Bits per byte by Python's own floats; bits and bytes of each row."""
    bits, sizes = [], []
    for row, tokens, counts in zip(LOGITS.tolist(), TOKENS.tolist(), SIZES.tolist(), strict=True):
        cost = 0.0
        for scores, token, count in zip(row, tokens, counts, strict=True):
            if count:
                total = math.fsum(math.exp(score) for score in scores)
                cost -= math.log2(math.exp(scores[token]) / total)
        bits.append(cost)
        sizes.append(sum(counts))
    return math.fsum(bits) / sum(sizes), bits, sizes


def test_it_is_what_arithmetic_says() -> None:
    value, bits, sizes = slow()
    found = bits_per_byte(nats_of(LOGITS, TOKENS), SIZES)
    assert found.value == pytest.approx(value, rel=1e-12)
    assert (found.tokens, found.bytes) == (np.count_nonzero(SIZES), sum(sizes))
    residuals = [bit - value * size for bit, size in zip(bits, sizes, strict=True)]
    assert found.standard_error == pytest.approx(math.sqrt(5 / 4 * math.fsum(r * r for r in residuals)) / sum(sizes))


def test_rows_in_portions_cost_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = nats_of(LOGITS, TOKENS)
    monkeypatch.setattr("aira_lib.autoresearch.bpb._MOST_WIDENED", 2 * 7 * 11)
    np.testing.assert_array_equal(nats_of(LOGITS, TOKENS), whole)


def test_the_standard_error_is_the_spread_of_scores_of_other_draws() -> None:
    """Each draw has other rows; the error that one draw tells is about how far scores of many lie apart."""
    rng = np.random.default_rng(5)

    def draw() -> tuple[float, float]:
        sizes = rng.integers(0, 5, (60, 20))
        found = bits_per_byte(rng.gamma(2.0, 1.0, (60, 1)) * rng.random((60, 20)), sizes)
        return found.value, found.standard_error

    values, errors = np.array([draw() for _ in range(400)]).T
    assert np.mean(errors) == pytest.approx(np.std(values), rel=0.15)


@pytest.mark.parametrize("raised", [0.0, 5.0, 1e4, 3e38])
def test_logits_gain_nothing_by_being_large(raised: float) -> None:
    """Were they taken for logarithms of probabilities, each token would cost less than nothing."""
    logits = np.full((2, 3, 8), raised, np.float32)
    np.testing.assert_allclose(nats_of(logits, np.zeros((2, 3), int)), math.log(8))
    np.testing.assert_allclose(np.exp(log_softmax(LOGITS + np.float32(min(raised, 100.0)))).sum(axis=-1), 1.0)


def test_a_token_without_text_does_not_count_however_dear() -> None:
    sizes = np.where(np.arange(7) % 2, SIZES, 0)
    dear = nats_of(LOGITS, TOKENS)
    dear[:, ::2] = 1e9
    assert bits_per_byte(dear, sizes).value == bits_per_byte(nats_of(LOGITS, TOKENS), sizes).value


def test_one_row_has_no_standard_error_and_no_text_no_score() -> None:
    assert bits_per_byte(np.ones((1, 4)), np.ones((1, 4), int)).standard_error == math.inf
    with pytest.raises(ValueError, match="no token"):
        bits_per_byte(np.ones((1, 4)), np.zeros((1, 4), int))
