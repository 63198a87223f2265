"""Layer-wise vote: Composer's N_c aggregation, for one set of weights or many at once.

A design is built layer by layer: layer i is the primitive with the most weight among the members whose previous c
layers equal those already chosen. c = 0 is an independent vote at every layer (N_0, Composer's best), c = "all"
follows whole prefixes. The papers leave ties open; here a tie goes to the primitive of the fittest member among the
tied. There is always a match: those who voted for the layer before match its context and have that layer, so they
match at this one. A member of weight 0 does not exist.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from aira_lib.architecture.primitives import PAPER_PRIMITIVES

Codes = NDArray[np.uint8]
Context = int | Literal["all"]
Weights = NDArray[np.float64] | NDArray[np.float32]

_TIE = 1e-12  # shares closer than this are equal: the order of a sum moves them by less
_BLOCK = 1 << 16


@dataclass(frozen=True)
class Votes:
    """What was chosen under each of r sets of weights, as places in PRIMITIVES, and the shares of the primitives."""

    chosen: Codes
    """[r, layers]"""
    shares: NDArray[np.float64]
    """[r, layers, primitives]: of the voters' weight, at each layer; up to the last primitive that a member has, and at
    least the paper's."""

    @property
    def agreement(self) -> NDArray[np.float64]:
        """[r, layers]: the winner's share, 0 to 1."""
        return np.take_along_axis(self.shares, self.chosen[..., None].astype(np.intp), axis=2)[..., 0]


def vote(codes: Codes, weights: Weights, context: Context = 0, expected: Codes | None = None) -> Votes:
    """Vote layer by layer.

    Args:
        codes: [members, layers], places in PRIMITIVES, fittest member first (the order breaks ties). Column-major
            arrays are fastest.
        weights: [r, members], not negative, each row with a positive sum.
        context: how many previous layers a voter must share with the design so far.
        expected: [layers], a pattern that most rows of weights will choose. It makes those fast and changes nothing.

    Raises:
        ValueError: no members, or weights that do not match or have an empty row.
    """
    if codes.ndim != 2 or not codes.size or weights.ndim != 2 or weights.shape[1] != len(codes):
        raise ValueError(f"a vote needs members and a weight for each, got {codes.shape} and {weights.shape}")
    if not (weights.sum(axis=1) > 0).all():
        raise ValueError("a vote needs a member of positive weight")
    n_rows, n_layers = len(weights), codes.shape[1]
    lengths = [layer if context == "all" else min(context, layer) for layer in range(n_layers)]
    n_primitives = max(len(PAPER_PRIMITIVES), int(codes.max()) + 1)
    result = Votes(np.zeros((n_rows, n_layers), dtype=np.uint8), np.zeros((n_rows, n_layers, n_primitives)))
    foreseen = np.zeros(n_layers, dtype=np.uint8) if expected is None else expected  # at c = 0 nothing depends on it
    totals = _totals(codes, weights, foreseen, lengths, n_primitives) if expected is not None or context == 0 else None
    matches = _Matches(codes)
    for layer, length in enumerate(lengths):
        left = np.arange(n_rows)
        if totals is not None:
            before = slice(layer - length, layer)
            there = (result.chosen[:, before] == foreseen[before]).all(axis=1)
            rows, left = left[there], left[~there]
            _decide(
                result, layer, rows, totals[rows, layer], codes, weights, matches.of(layer - length, foreseen[before])
            )
        for rows, voters, sums in _by_context(codes, weights, result, layer, length, matches, left):
            _decide(result, layer, rows, sums, codes, weights, voters)
    return result


class _Matches:
    """Members whose layers from `start` on are a wanted run; kept while `start` stays, as for "all"."""

    def __init__(self, codes: Codes) -> None:
        self.codes = codes
        self.start = 0
        self.found: dict[tuple[int, ...], NDArray[np.intp]] = {(): np.arange(len(codes))}

    def of(self, start: int, wanted: Codes) -> NDArray[np.intp]:
        if start != self.start:
            self.start, self.found = start, {(): self.found[()]}
        return self._of(tuple(wanted.tolist()))

    def _of(self, wanted: tuple[int, ...]) -> NDArray[np.intp]:
        if wanted not in self.found:
            before = self._of(wanted[:-1])
            column = self.codes[:, self.start + len(wanted) - 1]
            self.found[wanted] = (
                np.flatnonzero(column == wanted[-1]) if len(wanted) == 1 else before[column[before] == wanted[-1]]
            )
        return self.found[wanted]


def _is_primitive(codes: NDArray[np.uint8], n_primitives: int) -> NDArray[np.bool_]:
    """One more axis, of primitives, before the last."""
    return np.asarray(codes[..., None, :] == np.arange(n_primitives, dtype=np.uint8)[:, None])


def _totals(
    codes: Codes, weights: Weights, foreseen: Codes, lengths: list[int], n_primitives: int
) -> NDArray[np.float64]:
    """[r, layers, primitives]: the weight of every primitive among the members that match what is foreseen."""
    totals = np.zeros((len(weights), n_primitives, codes.shape[1]))
    for start in range(0, len(codes), _BLOCK):
        block = codes[start : start + _BLOCK]
        counted = _is_primitive(block, n_primitives)
        same = block == foreseen
        for layer, length in enumerate(lengths):
            if length:
                counted[:, :, layer] &= same[:, layer - length : layer].all(axis=1)[:, None]
        flat = counted.reshape(len(block), -1).astype(weights.dtype)
        totals += np.matmul(weights[:, start : start + _BLOCK], flat).reshape(totals.shape)
    return totals.transpose(0, 2, 1)


def _by_context(
    codes: Codes,
    weights: Weights,
    result: Votes,
    layer: int,
    length: int,
    matches: _Matches,
    pending: NDArray[np.intp],
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]]:
    """Rows of weights that share a context, their voters, and the weight of each primitive at the layer."""
    contexts, group = np.unique(result.chosen[pending, layer - length : layer], axis=0, return_inverse=True)
    for number, context in enumerate(contexts):
        rows = pending[group.reshape(-1) == number]
        voters = matches.of(layer - length, context)
        held = (weights if len(rows) == len(weights) else weights[rows]).take(voters, axis=1)
        sums = held @ _is_primitive(codes[voters, layer], result.shares.shape[2]).T.astype(weights.dtype)
        yield rows, voters, sums.astype(np.float64)


def _decide(
    result: Votes,
    layer: int,
    rows: NDArray[np.intp],
    sums: NDArray[np.float64],
    codes: Codes,
    weights: Weights,
    voters: NDArray[np.intp],
) -> None:
    """Write the winner and the shares of one layer for some rows of weights."""
    share = sums / sums.sum(axis=1, keepdims=True)
    tied = share >= share.max(axis=1, keepdims=True) - _TIE
    winners = tied.argmax(axis=1)
    for at in np.flatnonzero(tied.sum(axis=1) > 1):
        ballots = codes[voters, layer]
        winners[at] = ballots[(weights[rows[at], voters] > 0) & tied[at][ballots]][0]
    result.chosen[rows, layer], result.shares[rows, layer] = winners, share
