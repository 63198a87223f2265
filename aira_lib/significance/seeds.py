"""Seeds and items: another seed is asked the same items, so its answers are no further items.

Items are the sample of a task and seeds that of trainings. Scores are averaged over seeds item by item; the error over
items is then that of these very checkpoints on other items of the kind. How far means lie apart over seeds stands
beside it, and a claim about designs, not checkpoints, carries both.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from aira_lib.significance.estimate import Estimate, Floats, satterthwaite


@dataclass(frozen=True)
class Spread:
    """Standard deviation of a score over trainings that differ in nothing but the seed, known by so many degrees."""

    sd: float
    degrees: int


def averaged(scores: ArrayLike) -> Floats:
    """[items], the mean over seeds of scores [seeds, items]."""
    values = np.asarray(scores, dtype=np.float64)
    if values.ndim != 2 or not values.size:
        raise ValueError(f"scores have the shape [seeds, items], not {list(values.shape)}")
    return np.asarray(values.mean(axis=0))


def pooled_spread(designs: Sequence[Sequence[float]]) -> Spread | None:
    """Pooled over designs, of each one's scores by seed; None where none has two seeds."""
    repeated = [scores for scores in designs if len(scores) > 1]
    degrees = sum(len(scores) - 1 for scores in repeated)
    if not degrees:
        return None
    squares = math.fsum(float(np.var(scores, ddof=1)) * (len(scores) - 1) for scores in repeated)
    return Spread(math.sqrt(squares / degrees), degrees)


def with_seeds(difference: Estimate, spread: Spread, seeds: tuple[int, int]) -> Estimate:
    """A difference of two designs with the error of their seeds on top of that over items.

    Args:
        difference: over items, of scores averaged over seeds.
        spread: of one training.
        seeds: how many trainings each design has.

    Returns:
        An error that is a little too wide: what seeds do to single items is in both parts.
    """
    if difference.stderr is None:
        return difference
    parts = [difference.stderr**2, spread.sd**2 * (1 / seeds[0] + 1 / seeds[1])]
    degrees = satterthwaite(parts, [difference.degrees, spread.degrees])
    return Estimate(difference.value, math.sqrt(math.fsum(parts)), degrees)
