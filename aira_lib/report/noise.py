"""What a baseline scores, and how much of that is chance: runs of it under several seeds, as searches' records say.

A gain of less than two standard deviations over seeds is within the noise (the rule of `aira_lib.search`).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aira_lib.report.entries import deviation, mean
from aira_lib.report.inputs import SearchRun

SIGMAS = 2.0
"""Standard deviations that a gain has to exceed."""


@dataclass(frozen=True)
class NoiseFloor:
    """Validation scores of the baseline, one a seed; `sigma` is their sample standard deviation, None of one score."""

    scores: tuple[float, ...]
    mean: float
    sigma: float | None

    @property
    def band(self) -> tuple[float, float] | None:
        """Mean less and plus two standard deviations."""
        return None if self.sigma is None else (self.mean - SIGMAS * self.sigma, self.mean + SIGMAS * self.sigma)

    def covers(self, gain: float) -> bool | None:
        """Whether a gain is within the noise; None where that is not known."""
        return None if self.sigma is None else abs(gain) <= SIGMAS * self.sigma


def noise_floor(told: Mapping[str, Any]) -> NoiseFloor | None:
    """That of a search, by its search.json; None where no baseline ran."""
    of = told.get("baseline")
    if not isinstance(of, Mapping):
        return None
    return _of([score for score in of.get("scores", ()) if isinstance(score, int | float)])


def common_floor(searches: Sequence[SearchRun]) -> NoiseFloor | None:
    """That of several searches of one task; runs that several of them share count once."""
    found = dict.fromkeys(floor.scores for search in searches if (floor := noise_floor(search.told)))
    return _of([score for scores in found for score in scores])


def _of(scores: Sequence[float]) -> NoiseFloor | None:
    finite = tuple(float(score) for score in scores if math.isfinite(score))
    middle = mean(finite)
    return None if middle is None else NoiseFloor(finite, middle, deviation(finite))
