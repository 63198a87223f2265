"""How a function of ours that measures a program asks it: each call is a fresh sandbox, of so many rows at most.

Such a function, `measure` of a program.yaml, is called as `measure(ask, asked, rng, settings)` with an `Ask`, the rows
of a split (`aira_lib.tasks.programs.splits.Asked`), a generator that nobody can foretell who has not seen the labels of
the test split, and the settings of program.yaml; it returns a `Measurement`, or raises `NotValid`. It never runs what
was submitted.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from aira_lib.study import CandidateLimits
from aira_lib.tasks.programs.arrays import Arrays, rows_in
from aira_lib.tasks.programs.section import Predictions

_MOST_BYTES = 256 * 2**20
"""Of a file of predictions, float32: it is read into memory as float64."""


class NotValid(Exception):
    """What was submitted has no score; the text, one line, may repeat what submitted code said.

    Attributes:
        kind: The same in words that are ours alone.
    """

    def __init__(self, reason: str, kind: str) -> None:
        super().__init__(reason)
        self.kind = kind


@dataclass(frozen=True)
class Measurement:
    """A score, and what else was measured, by name."""

    score: float
    measures: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Ask:
    """Asks a program for predictions.

    Attributes:
        infer: One process: rows to predictions.
        most_rows: Of one call.
        measures: What is known of the training: `train_seconds` and, where it can be told, `train_cpu_seconds`.
    """

    infer: Callable[[Arrays], NDArray[Any]]
    most_rows: int
    measures: Mapping[str, float]

    def __call__(self, inputs: Arrays) -> NDArray[Any]:
        """Predictions of rows, in their order, by a process that sees nothing but these rows and the weights."""
        assert rows_in(inputs) <= self.most_rows
        return self.infer(inputs)


def most_rows(predictions: Predictions, limits: CandidateLimits) -> int:
    """Rows whose predictions fit a file that may be written and read."""
    room = min(_MOST_BYTES, limits.disk_mb * 2**20 * 9 // 10)
    return max(1, room // (4 * math.prod(predictions.shape)))
