"""How a function of ours that measures a program asks it: each call is a fresh sandbox, of so many rows at most.

Such a function, `measure` of a program.yaml, is called as `measure(ask, inputs, labels, rng, settings)` with an `Ask`,
the rows of a split and their labels, a generator that nobody can foretell who has not seen the labels of the test
split, and the settings of program.yaml; it returns a `Measurement`, or raises `NotValid`. It never runs what was
submitted. See `aira_lib.tasks.programs.measure`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

Arrays = Mapping[str, NDArray[Any]]
"""By the names of their files; the first axis are rows."""


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
        measures: What was measured of the training: `train_seconds`, `parameters` (floating-point elements of the saved
            weights) and, where they can be told, `train_cpu_seconds` and `peak_memory_mb`; nothing that it said.
    """

    infer: Callable[[Arrays], NDArray[Any]]
    most_rows: int
    measures: Mapping[str, float]

    def __call__(self, inputs: Arrays) -> NDArray[Any]:
        """Predictions of rows, in their order, by a process that sees nothing but these rows and the weights."""
        assert all(len(array) <= self.most_rows for array in inputs.values())
        return self.infer(inputs)
