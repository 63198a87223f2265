"""Bits per byte against a slow plain computation, and what a measure makes of models that cheat."""

import math

import numpy as np
import pytest

from aira_lib.asking import Ask, NotValid
from aira_lib.autoresearch.bpb import bits_per_byte, nats_of
from aira_lib.autoresearch.measuring import measure
from aira_lib.autoresearch.probes import altered_rows

ROWS, LENGTH, VOCABULARY = 40, 12, 7
RNG = np.random.default_rng(3)
PACKED = RNG.integers(0, VOCABULARY, (ROWS, LENGTH + 1))
TOKENS, FOLLOWING = PACKED[:, :-1].astype(np.uint16), PACKED[:, 1:]
SIZES = np.asarray([0, 1, 1, 2, 3, 1, 4])[FOLLOWING]
LABELS = np.stack([FOLLOWING, SIZES], axis=-1).astype(np.int32)
TABLE = RNG.normal(size=(VOCABULARY, VOCABULARY)) * 2
SETTINGS = {"probe_rows": 32, "budget_seconds": 10.0, "clock": "cpu"}


def slow_score(logits: np.ndarray) -> float:
    """By definition, a token at a time."""
    bits, size = 0.0, 0
    for row in range(ROWS):
        for place in range(LENGTH):
            if SIZES[row, place]:
                weights = [math.exp(float(each)) for each in logits[row, place]]
                bits -= math.log2(weights[FOLLOWING[row, place]] / sum(weights))
                size += int(SIZES[row, place])
    return bits / size


def bigram(tokens: np.ndarray) -> np.ndarray:
    """An honest model: what follows depends on the last token."""
    return TABLE[tokens]


def scored(model, settings=SETTINGS, most_rows=1_000, **clocks):
    clocks = {"train_seconds": 12.0, "train_cpu_seconds": 9.0} | clocks
    ask = Ask(lambda inputs: model(np.asarray(inputs["tokens.npy"]).astype(int)), most_rows, clocks)
    return measure(ask, {"tokens.npy": TOKENS}, LABELS, np.random.default_rng(5), settings)


def test_a_score_is_that_of_a_slow_computation():
    found = scored(bigram)
    assert found.score == pytest.approx(slow_score(bigram(TOKENS)), rel=1e-12)
    assert found.measures["bytes"] == SIZES.sum()
    assert found.measures["tokens"] == np.count_nonzero(SIZES)


def test_chunks_of_any_size_give_the_same_score():
    assert scored(bigram, most_rows=17).score == pytest.approx(scored(bigram).score, rel=1e-12)


def test_the_standard_error_is_that_of_rows_drawn_again():
    nats = nats_of(bigram(TOKENS), FOLLOWING)
    draws = np.random.default_rng(0).integers(0, ROWS, (4_000, ROWS))
    again = [bits_per_byte(nats[rows], SIZES[rows]).value for rows in draws]
    assert bits_per_byte(nats, SIZES).standard_error == pytest.approx(np.std(again), rel=0.08)


@pytest.mark.parametrize("shift", [0.0, 50.0, 1e6])
def test_no_constant_in_logits_changes_anything(shift):
    assert nats_of(bigram(TOKENS) + shift, FOLLOWING) == pytest.approx(nats_of(bigram(TOKENS), FOLLOWING), abs=1e-8)


def test_logits_that_would_be_probabilities_of_more_than_one_gain_nothing():
    """Log-probabilities whose distributions sum to 277: those of a good model, plus a constant."""
    chances = np.exp(TABLE) / np.exp(TABLE).sum(axis=-1, keepdims=True)
    raised = np.log(277 * chances)
    assert scored(lambda tokens: raised[tokens]).score == pytest.approx(scored(bigram).score, rel=1e-9)
    of_each = [nats_of(raised[TOKENS], np.full(TOKENS.shape, token)) for token in range(VOCABULARY)]
    assert np.exp(-np.stack(of_each)).sum(axis=0) == pytest.approx(1)


def sees_next(tokens):
    """Row x[t + 1] is the target of t: all places but the last are known."""
    logits = np.zeros((*tokens.shape, VOCABULARY))
    rows, places = np.indices(tokens[:, :-1].shape)
    logits[rows, places, tokens[:, 1:]] = 20.0
    return logits


def sees_it_in_few_rows(tokens):
    logits = bigram(tokens).copy()
    few = tokens.sum(axis=1) % 4 == 0
    logits[few] = sees_next(tokens[few])
    return logits


def sees_the_end(tokens):
    return bigram(tokens) + 0.01 * (tokens[:, -1:, None] == np.arange(VOCABULARY))


def sees_other_rows(tokens):
    return bigram(tokens) + 0.05 * np.bincount(tokens.ravel(), minlength=VOCABULARY) / len(tokens)


def neighbours(tokens):
    return np.roll(bigram(tokens), 1, axis=0)


def learner():
    """What it was asked before adds up."""
    counts = np.zeros(VOCABULARY)

    def model(tokens):
        said = []
        for row in tokens:
            said.append(TABLE[row] + 0.01 * counts)
            counts[:] = counts + np.bincount(row, minlength=VOCABULARY)
        return np.stack(said)

    return model


def gambler():
    rng = np.random.default_rng()
    return lambda tokens: bigram(tokens) + rng.normal(size=(*tokens.shape, VOCABULARY)) * 0.1


@pytest.mark.parametrize("model", [sees_next, sees_it_in_few_rows, sees_the_end])
def test_a_model_that_looks_ahead_is_not_valid(model):
    with pytest.raises(NotValid, match="not causal: what comes later changed"):
        scored(model)


@pytest.mark.parametrize("model", [sees_other_rows, neighbours])
def test_a_model_that_looks_at_other_rows_is_not_valid(model):
    with pytest.raises(NotValid, match=r"answered otherwise|not causal"):
        scored(model)


@pytest.mark.parametrize("model", [learner, gambler])
def test_a_model_that_learns_or_draws_is_not_valid(model):
    with pytest.raises(NotValid, match="answered otherwise when they were asked again"):
        scored(model())


def test_without_probes_a_model_that_looks_ahead_would_have_a_record():
    """What the probes are there for."""
    assert slow_score(sees_next(TOKENS)) < 0.3 * slow_score(bigram(TOKENS))


def test_a_training_that_took_too_long_is_not_valid():
    with pytest.raises(NotValid, match=r"took 11\.5 s of processor time.* and 10 s are allowed \(seconds 12\.0, cpu"):
        scored(bigram, train_cpu_seconds=11.5)
    with pytest.raises(NotValid, match=r"took 12\.0 s of wall time"):
        scored(bigram, SETTINGS | {"clock": "wall"})


def test_what_compilation_may_take_besides_is_said_once():
    found = scored(bigram, SETTINGS | {"compile_allowance_seconds": 2.0}, train_cpu_seconds=11.5)
    assert found.score == scored(bigram).score


def test_the_original_way_to_count_leaves_time_to_the_script():
    paper = SETTINGS | {"count": "paper", "compile_allowance_seconds": 1.0}
    for allowance, seconds in (({}, 19.9), ({"paper_allowance_seconds": 30.0}, 39.9)):
        found = scored(bigram, paper | allowance, train_cpu_seconds=seconds)
        assert found.score == scored(bigram).score
        assert found.measures == scored(bigram).measures


def test_the_original_way_to_count_has_an_end_all_the_same():
    paper = SETTINGS | {"count": "paper", "paper_allowance_seconds": 5.0}
    told = r"took 15\.5 s of processor .* and 15 s are allowed, 5 s of it for .*\(seconds 12\.0, cpu seconds 15\.5\)"
    with pytest.raises(NotValid, match=told):
        scored(bigram, paper, train_cpu_seconds=15.5)
    with pytest.raises(NotValid, match=r"took 20\.1 s of wall time.* and 20 s are allowed, 10 s of it"):
        scored(bigram, SETTINGS | {"count": "paper", "clock": "wall"}, train_seconds=20.1)


def test_what_else_is_known_of_a_training_is_no_clock():
    with pytest.raises(NotValid, match=r"\(seconds 12\.0, cpu seconds 11\.5\);"):
        scored(bigram, train_cpu_seconds=11.5, peak_memory_mb=300.0, parameters=49.0)


def test_rows_with_another_end_are_the_same_before_it():
    probes = altered_rows(TOKENS, 64, np.random.default_rng(1))
    for row, cut, tokens in zip(probes.rows, probes.cuts, probes.tokens, strict=True):
        assert (tokens[:cut] == TOKENS[row, :cut]).all()
    ends = [tokens[cut:] for cut, tokens in zip(probes.cuts, probes.tokens, strict=True)]
    assert all(len(set(end)) == 1 for end in ends[1::2])
