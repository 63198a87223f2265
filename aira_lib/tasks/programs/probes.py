"""Whether a prediction depends on anything but its row: the order of a request, rows asked again, and a comparison.

Rows are asked for in an order that nobody can know who has not seen the labels of the test split. The first process is
asked for all of them, and at the end for some of the first ones again: a program that learns from what it has been
asked answers these differently. A second process is asked for a few others in another order: what it says of a row may
not differ from what the first one said among all the others.

A dependence that changes the predictions of a share f of the rows is missed with probability (1 - f) to the power of
the rows that are asked again (`probes.rows`): of 128, f = 3.5 % in one case of a hundred.
"""

import hashlib
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aira_lib.tasks.programs.section import Predictions, Probes

_ROUNDING = 1e-6  # of fp32, relative to a prediction
_FLIPS = 0.02  # of rows: whose two best classes lie so close together that rounding decides


@dataclass(frozen=True)
class Request:
    """Places of rows in the order in which they are asked for: `first`, its last `repeats` again, and `second`."""

    first: NDArray[np.int64]
    repeats: int
    second: NDArray[np.int64]

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return len(self.first) - self.repeats

    def in_order(self, predictions: NDArray[Any]) -> NDArray[Any]:
        """What the first process said, in the order of the rows; what it said when it was asked again is left out."""
        ordered = np.empty_like(predictions[: self.rows])
        ordered[self.first[: self.rows]] = predictions[: self.rows]
        return ordered


def request_for(rows: int, probes: Probes, secret: bytes, weights: bytes) -> Request:
    """The request for a split.

    Args:
        rows: Of the split.
        probes: How many rows are asked again.
        secret: What no submitted code can know.
        weights: Of the design that is asked: another one is asked in another order.
    """
    seed = hashlib.sha256(secret + hashlib.sha256(weights).digest() + rows.to_bytes(8, "little")).digest()
    rng = np.random.default_rng(np.frombuffer(seed, np.uint32))
    order = rng.permutation(rows)
    early = order[: max(1, rows // 4)]
    repeats = rng.choice(early, min(probes.repeats, len(early)), replace=False)
    second = rng.permutation(rows)[: min(probes.rows, max(1, rows // 2))]
    return Request(np.concatenate([order, repeats]), len(repeats), second)


def learns(request: Request, first: NDArray[Any], wanted: Predictions) -> str:
    """What tells that rows were answered otherwise when they were asked again; empty where nothing does.

    Args:
        request: What was asked.
        first: What the first process said, in the order in which it was asked.
        wanted: How far predictions may lie apart.
    """
    again = first[request.rows :]
    before = request.in_order(first)[request.first[request.rows :]]
    count, most = _apart(before, again, _scale(first), wanted)
    if not count:
        return ""
    return (
        f"infer answers otherwise when it is asked again: {count} of {len(again)} early rows, by up to {most:.3g}; it "
        "must not learn from what it predicts, and must draw nothing at random"
    )


def depends(request: Request, first: NDArray[Any], second: NDArray[Any], wanted: Predictions) -> str:
    """What tells that predictions depend on more than their row; empty where nothing does.

    Args:
        request: What was asked.
        first: What the first process said, in the order in which it was asked.
        second: What the second one said.
        wanted: How far predictions may lie apart.
    """
    count, most = _apart(request.in_order(first)[request.second], second, _scale(first), wanted)
    if not count:
        return ""
    return (
        f"predictions depend on more than their row: of {len(second)} rows that were asked for again in another order "
        f"and without the others, {count} were answered otherwise, by up to {most:.3g}"
    )


def _apart(one: NDArray[Any], other: NDArray[Any], scale: Any, wanted: Predictions) -> tuple[int, float]:
    """How many rows differ, and the largest difference of any of them; nothing where they are as good as equal."""
    gap = np.abs(one.astype(np.float64) - other).reshape(len(one), -1)
    if wanted.kind == "int":
        return int(np.count_nonzero(gap.any(axis=1))), float(gap.max(initial=0.0))
    size = np.maximum(np.abs(one), np.abs(other)).reshape(gap.shape)
    apart = (gap > wanted.tolerance * scale + _ROUNDING * size).any(axis=1)
    if len(wanted.shape) == 1 and wanted.shape[0] > 1:
        flipped = one.argmax(axis=1) != other.argmax(axis=1)
        if np.count_nonzero(flipped) > math.ceil(_FLIPS * len(one)):
            apart |= flipped
    return int(np.count_nonzero(apart)), float(gap.max(initial=0.0))


def _scale(predictions: NDArray[Any]) -> Any:
    """What is a large difference: of scores of classes how far those of a row mostly lie apart, else how far rows do.

    Were it a fixed number, or the size of the predictions, then small scores, or large ones with small differences,
    could depend on anything and never be told. Rows whose scores are close to each other are few, or else their best
    classes tell.
    """
    if predictions.ndim == 2 and predictions.shape[1] > 1:
        return np.median(np.ptp(predictions, axis=1))
    return predictions.std(axis=0).reshape(-1)
