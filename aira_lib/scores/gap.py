"""The generalisation gap: what a run loses by submitting the candidate that validation likes best.

It is the best test score of all candidates less that of the submitted one, never below 0. A maximum of noisy numbers
is above their truth: candidates that are all equally good show a gap as well, so beside it stands what the noise of
the test split alone would give.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from aira_lib.scores.runs import ScoredRun


@dataclass(frozen=True)
class Gap:
    """The gap of an agent on a task.

    Attributes:
        mean: Over runs that have one.
        stderr: Standard error of the mean over runs; None of a single run.
        runs: How many have one.
        by_noise: The mean gap that equally good candidates would show, for a share of n independent test examples;
            None where n is not known. All candidates answer the same examples, so the truth lies below it.
    """

    mean: float
    stderr: float | None
    runs: int
    by_noise: float | None = None


def gap_of(run: ScoredRun) -> float | None:
    """The gap of one run; None where it submitted nothing valid, or a candidate was not tested.

    Whatever the direction, a gap is a loss: the distance from the peak down to what was submitted.
    """
    if run.score is None or run.peak is None or run.tested < run.candidates:
        return None
    return abs(run.peak - run.score)


def mean_gap(runs: Sequence[ScoredRun], examples: int | None = None) -> Gap | None:
    """The mean gap of runs of one agent on one task; None where no run has one.

    Args:
        runs: Of one agent on one task.
        examples: Of the test split, where the score is a share of right ones; None: not known, or another metric.
    """
    found = [(run, gap) for run in runs if (gap := gap_of(run)) is not None]
    if not found:
        return None
    gaps = [gap for _, gap in found]
    mean = math.fsum(gaps) / len(gaps)
    stderr = float(np.std(gaps, ddof=1)) / math.sqrt(len(gaps)) if len(gaps) > 1 else None
    noise = [_by_noise(run, examples) for run, _ in found] if examples else []
    return Gap(mean, stderr, len(gaps), math.fsum(noise) / len(noise) if noise else None)


def _by_noise(run: ScoredRun, examples: int) -> float:
    share = run.score or 0.0
    if not 0 <= share <= 1:
        raise ValueError(f"a score of {share:g} is no share of right examples")
    return math.sqrt(share * (1 - share) / examples) * expected_maximum(max(run.tested, 1))


@cache
def expected_maximum(n: int) -> float:
    """The expected maximum of n independent standard normal numbers."""
    from scipy.integrate import quad
    from scipy.special import ndtr

    def density(x: float) -> float:
        return x * n * float(ndtr(x)) ** (n - 1) * math.exp(-x * x / 2) / math.sqrt(2 * math.pi)

    return 0.0 if n == 1 else float(quad(density, -12, 12, limit=200)[0])
