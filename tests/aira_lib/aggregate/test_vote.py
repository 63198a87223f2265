"""The layer-wise vote against its definition, written out slowly."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aira_lib.aggregate.table import layers_of
from aira_lib.aggregate.vote import Context, vote
from aira_lib.architecture.primitives import PAPER_PRIMITIVES
from tests.aira_lib.aggregate import plain_aggregate as plain

CONTEXTS: list[Context] = [0, 1, 2, 7, "all"]
elections = st.integers(1, 12).flatmap(
    lambda n: st.tuples(
        st.lists(st.lists(st.integers(0, 2), min_size=5, max_size=5), min_size=n, max_size=n),
        st.lists(st.lists(st.integers(0, 3), min_size=n, max_size=n).filter(any), min_size=1, max_size=4),
    )
)


def _codes(*designs: str) -> np.ndarray:
    return np.array([[PAPER_PRIMITIVES.index(layer) for layer in design.split()] for design in designs], dtype=np.uint8)


@given(elections, st.sampled_from(CONTEXTS), st.booleans())
def test_equals_the_definition_ties_included(
    election: tuple[list[list[int]], list[list[int]]], context: Context, foreseen: bool
) -> None:
    codes, weights = np.array(election[0], dtype=np.uint8), np.array(election[1], dtype=np.float32)
    expected = codes[-1] if foreseen else None
    result = vote(codes, weights, context, expected)
    for row, held in enumerate(election[1]):
        layers, shares = plain.vote([layers_of(m) for m in election[0]], held, context)
        assert layers_of(result.chosen[row]) == layers
        for found, wanted in zip(result.shares[row], shares, strict=True):
            assert found.tolist() == pytest.approx([wanted.get(p, 0.0) for p in PAPER_PRIMITIVES])
        assert result.agreement[row].tolist() == pytest.approx([s[p] for s, p in zip(shares, layers, strict=True)])


@given(elections)
def test_whole_context_follows_a_member(election: tuple[list[list[int]], list[list[int]]]) -> None:
    codes = np.array(election[0], dtype=np.uint8)
    chosen = vote(codes, np.ones((1, len(codes))), "all").chosen[0]
    assert (codes == chosen).all(axis=1).any()


def test_a_tie_goes_to_the_fittest_of_the_tied() -> None:
    codes = _codes("Mb", "M", "A", "A", "M")  # A and M tie; the M at place 1 is fitter than the first A
    assert vote(codes, np.ones((1, 5))).chosen[0] == PAPER_PRIMITIVES.index("M")


@given(elections, st.sampled_from(CONTEXTS))
def test_someone_matches_at_every_layer(election: tuple[list[list[int]], list[list[int]]], context: Context) -> None:
    codes, weights = np.array(election[0], dtype=np.uint8), np.array(election[1], dtype=float)
    result = vote(codes, weights, context)
    assert result.shares.sum(axis=2).ravel().tolist() == pytest.approx([1.0] * 5 * len(weights))
    for row, held in zip(result.chosen, weights, strict=True):
        for layer in range(5):
            start = 0 if context == "all" else max(0, layer - context)
            assert held[(codes[:, start : layer + 1] == row[start : layer + 1]).all(axis=1)].sum() > 0


def test_weight_beats_number() -> None:
    assert layers_of(vote(_codes("M", "A", "A"), np.array([[0.6, 0.2, 0.2]])).chosen[0]) == ("M",)


def test_independent_vote_can_leave_the_archive() -> None:
    assert layers_of(vote(_codes("A M M", "A A A", "M M A"), np.ones((1, 3))).chosen[0]) == ("A", "M", "A")


@pytest.mark.parametrize(
    ("codes", "weights"),
    [
        (np.zeros((0, 4), np.uint8), np.ones((1, 0))),
        (np.zeros((2, 4), np.uint8), np.ones((1, 3))),
        (np.zeros((2, 4), np.uint8), np.zeros((1, 2))),
    ],
)
def test_refuses_what_cannot_vote(codes: np.ndarray, weights: np.ndarray) -> None:
    with pytest.raises(ValueError, match="a vote needs"):
        vote(codes, weights)
