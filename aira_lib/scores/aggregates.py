"""Means over tasks and the interquartile mean (IQM), with intervals from resampled runs; tasks stay as they are.

As rliable defines them (Agarwal et al. 2021, arXiv 2108.13264): runs are drawn with replacement within each task, the
interval is that of percentiles, and IQM is the mean of the middle half of all runs of all tasks. rliable needs as many
runs of each task; here a run of a task with n runs weighs 1/n, which is the same where they are equal.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from aira_lib.scores.interval import Interval

Floats = NDArray[np.float64]
Aggregate = Callable[[Floats, Floats], Floats]
"""Of scores [draws, runs] and the weights [runs] of the runs: [draws]."""

RESAMPLES = 2_000
_EDGES = (0.025, 0.975)
_CUT = 0.25


def mean(scores: Floats, weights: Floats) -> Floats:
    """The mean over tasks of means over runs, [draws]."""
    return np.asarray(scores @ weights / weights.sum())


def interquartile_mean(scores: Floats, weights: Floats) -> Floats:
    """The mean of what is left without the lowest and the highest runs, whole ones up to a quarter each, [draws]."""
    order = np.argsort(scores, axis=1, kind="stable")
    ranked, heavy = np.take_along_axis(scores, order, axis=1), weights[order] / weights.sum()
    # Sums of equal weights are a little off: what is cut is whole runs, as if they were counted.
    below, above = np.cumsum(heavy, axis=1), np.cumsum(heavy[:, ::-1], axis=1)[:, ::-1]
    kept = np.where((below > _CUT + 1e-9) & (above > _CUT + 1e-9), heavy, 0.0)
    return np.asarray((ranked * kept).sum(axis=1) / kept.sum(axis=1))


def aggregated(
    tasks: Sequence[Sequence[float]], aggregate: Aggregate, seed: int = 0, resamples: int = RESAMPLES
) -> Interval:
    """An aggregate of scores with its interval by a stratified bootstrap.

    Args:
        tasks: Scores of the runs on each task.
        aggregate: `mean` or `interquartile_mean`.
        seed: Of the draws.
        resamples: How many.

    Returns:
        The aggregate; without bounds where no task has two runs.

    Raises:
        ValueError: there is no task, or one without runs.
    """
    if not tasks or not all(len(scores) for scores in tasks):
        raise ValueError("an aggregate is of tasks with runs")
    weights = np.concatenate([np.full(len(scores), 1 / len(scores)) for scores in tasks])
    whole = np.concatenate([np.asarray(scores, dtype=np.float64) for scores in tasks])
    value = float(aggregate(whole[None], weights)[0])
    if all(len(scores) < 2 for scores in tasks):
        return Interval(value)
    streams = [np.random.default_rng(each) for each in np.random.SeedSequence(seed).spawn(len(tasks))]
    drawn = [
        np.asarray(scores, dtype=np.float64)[stream.integers(len(scores), size=(resamples, len(scores)))]
        for scores, stream in zip(tasks, streams, strict=True)
    ]
    low, high = np.quantile(aggregate(np.concatenate(drawn, axis=1), weights), _EDGES)
    return Interval(value, float(low), float(high))
