"""Several designs against one: p corrected for their number, intervals that hold for all, and the luck of the best.

Whoever picks the best of many by a score and then compares by that very score is flattered by chance. Two remedies
stand here by name. Simultaneous intervals (Dunnett's idea, with the correlations that shared items make: the quantile
of the largest of all studentized differences, by draws) hold for every design, so for the best whichever it is. And the
luck of the best says how high the best of so many would stand if all were equally good.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from aira_lib.significance.estimate import Floats

DRAWS = 40_000
"""Of the normal distribution: a quantile of the largest is then off by about 0.01 standard errors."""


class Luck(NamedTuple):
    """By how much the best of equally good designs is overestimated: on average, and in one case of twenty."""

    mean: float
    high: float


def holm(p: Mapping[str, float | None]) -> dict[str, float | None]:
    """Holm's step-down: adjusted p of all comparisons; that none is falsely called different is then controlled.

    A comparison without p is none: it is not counted, and stays without.
    """
    known = sorted((value, name) for name, value in p.items() if value is not None)
    adjusted: dict[str, float | None] = dict.fromkeys(p)
    so_far = 0.0
    for rank, (value, name) in enumerate(known):
        so_far = max(so_far, min(1.0, (len(known) - rank) * value))
        adjusted[name] = so_far
    return adjusted


def covariance_of_means(tasks: Sequence[Floats], seeds: Sequence[float] = ()) -> Floats:
    """[designs, designs]: covariance of the designs' means over tasks, which items shared by all designs make.

    Args:
        tasks: scores [designs, items] of each task, averaged over seeds.
        seeds: variance of each design's mean by its seeds, added to the diagonal.
    """
    parts = [np.cov(scores) / scores.shape[1] for scores in tasks]
    own = np.diag(seeds) if len(seeds) else 0.0
    return np.asarray(np.sum(parts, axis=0) / len(tasks) ** 2 + own)


def simultaneous_margins(covariance: Floats, reference: int, degrees: float = np.inf) -> Floats:
    """[designs]: half-widths of intervals of all differences to the reference that hold together in 95 %.

    Args:
        covariance: of the designs' means, [designs, designs].
        reference: which of them the others are compared with; its own margin is 0.
        degrees: by how many the covariance is known; of few, the largest is one of Student's t.
    """
    apart = _draws(covariance)
    if np.isfinite(degrees):
        apart = apart / np.sqrt(np.random.default_rng(1).chisquare(degrees, (len(apart), 1)) / degrees)
    apart = apart - apart[:, [reference]]
    contrasts = np.eye(len(covariance)) - np.eye(len(covariance))[reference]
    errors = np.sqrt(np.maximum(np.diag(contrasts @ covariance @ contrasts.T), 0))
    varies = errors > 0
    if not varies.any():
        return errors
    largest = np.abs(apart[:, varies] / errors[varies]).max(axis=1)
    return np.asarray(errors * np.quantile(largest, 0.95))


def luck_of_the_best(covariance: Floats) -> Luck:
    """How high the best of designs with these errors would stand above their common score, were all equally good."""
    drawn = _draws(covariance)
    above = drawn.max(axis=1) - drawn.mean(axis=1)
    return Luck(float(above.mean()), float(np.quantile(above, 0.95)))


def _draws(covariance: Floats) -> Floats:
    """[DRAWS, designs], the same for equal covariances."""
    values, vectors = np.linalg.eigh(covariance)
    normal = np.random.default_rng(0).standard_normal((DRAWS, len(covariance)))
    return np.asarray((normal * np.sqrt(np.maximum(values, 0))) @ vectors.T)
