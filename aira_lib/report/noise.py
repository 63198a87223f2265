"""What a baseline scores, and how much of that is chance: runs of it under several seeds, as searches' records say.

A gain of no more than some standard deviations over seeds is within the noise (`aira_lib.agents.noise`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aira_lib.report.entries import deviation, mean
from aira_lib.report.inputs import SearchRun

_SIGMAS = 2.0
"""That count where a record does not say how many."""


@dataclass(frozen=True)
class NoiseFloor:
    """Validation scores of the baseline by seed; a gain has to exceed so many of their standard deviations."""

    scores: tuple[tuple[str, float], ...]
    sigmas: float = _SIGMAS

    @property
    def mean(self) -> float:
        """Of the scores."""
        return mean([score for _, score in self.scores]) or 0.0

    @property
    def sigma(self) -> float | None:
        """Their sample standard deviation; None of a single one."""
        return deviation([score for _, score in self.scores])

    @property
    def band(self) -> tuple[float, float] | None:
        """The mean less and plus what a gain has to exceed; None where that is not known."""
        floor = None if self.sigma is None else self.sigmas * self.sigma
        return None if floor is None else (self.mean - floor, self.mean + floor)

    def covers(self, gain: float) -> bool | None:
        """Whether a gain is within the noise; None where that is not known."""
        return None if self.sigma is None else abs(gain) <= self.sigmas * self.sigma


def noise_floor(told: Mapping[str, Any]) -> NoiseFloor | None:
    """That of a search, by its search.json; None where no baseline ran."""
    noise = told.get("noise") or {}
    scores = (noise.get("baseline") or {}).get("scores") or {}
    return NoiseFloor(tuple(scores.items()), noise.get("sigmas", _SIGMAS)) if scores else None


def common_floor(searches: Sequence[SearchRun]) -> NoiseFloor | None:
    """That of several searches of one task; runs of one seed with one score count once, whoever made them."""
    floors = [floor for search in searches if (floor := noise_floor(search.told))]
    scores = dict.fromkeys(each for floor in floors for each in floor.scores)
    return NoiseFloor(tuple(scores), max(floor.sigmas for floor in floors)) if floors else None


def winner_on_seeds(told: Mapping[str, Any]) -> tuple[float | None, float | None]:
    """Mean and standard deviation of a search's winner on seeds that it was not chosen by; None where not known."""
    winner = (told.get("noise") or {}).get("winner") or {}
    return winner.get("mean"), winner.get("sigma")
