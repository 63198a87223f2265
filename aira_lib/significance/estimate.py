"""A score or a difference with its error, and means of such over tasks."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A value, its standard error, and by how many degrees of freedom that is known; values are shares, from 0 to 1.

    No `stderr`: of a single item, or where the items do not vary, so that they tell nothing of their own spread.
    `exact` is the p of a test that needs no error, where there is one.
    """

    value: float
    stderr: float | None
    degrees: float
    exact: float | None = None

    @property
    def margin(self) -> float | None:
        """Half-width of the 95 % interval, by Student's t."""
        if self.stderr is None:
            return None
        from scipy.special import stdtrit  # late: most reports score no tasks

        return float(stdtrit(self.degrees, 0.975)) * self.stderr

    @property
    def p(self) -> float | None:
        """Of a value at least as far from zero if it were zero, both sides; None where it cannot be told."""
        if self.exact is not None:
            return self.exact
        if not self.stderr:
            return 1.0 if self.value == 0 and self.stderr is not None else None
        from scipy.special import stdtr

        return float(2 * stdtr(self.degrees, -abs(self.value) / self.stderr))


def mean_of_items(scores: ArrayLike) -> Estimate:
    """The mean of scores [items], whose items are a sample of those that might have been asked.

    Raises:
        ValueError: there is none.
    """
    values = np.asarray(scores, dtype=np.float64)
    if values.ndim != 1 or not len(values):
        raise ValueError(f"scores have the shape [items], not {list(values.shape)}")
    if len(values) < 2:
        return Estimate(float(values[0]), None, 0)
    return Estimate(float(values.mean()), float(values.std(ddof=1)) / math.sqrt(len(values)), len(values) - 1)


def mean_over_tasks(parts: Sequence[Estimate]) -> Estimate:
    """The plain mean of estimates of several tasks, as averages and core-14 take it.

    The tasks are these and no sample of tasks; their items have nothing to do with each other, so that variances add
    (degrees of freedom by Welch and Satterthwaite).

    Raises:
        ValueError: there is none.
    """
    if not parts:
        raise ValueError("a mean needs at least one task")
    value = math.fsum(part.value for part in parts) / len(parts)
    known = [part.stderr**2 for part in parts if part.stderr is not None]
    if len(known) < len(parts):
        return Estimate(value, None, 0)
    degrees = satterthwaite(known, [part.degrees for part in parts])
    return Estimate(value, math.sqrt(math.fsum(known)) / len(parts), degrees)


def satterthwaite(variances: Sequence[float], degrees: Sequence[float]) -> float:
    """Degrees of freedom of a sum of independent variances, each known by so many."""
    total = math.fsum(variances)
    if total == 0:
        return min(degrees)
    return total**2 / math.fsum(v**2 / d for v, d in zip(variances, degrees, strict=True) if v)
