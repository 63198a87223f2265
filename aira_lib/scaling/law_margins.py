"""Laws of several designs with the margins that the spread over seeds gives them, and their differences.

The interval is that of the parabolas (see `aira_lib.scaling.frontier`): losses are drawn anew about those measured,
the same noise for a run wherever it appears, and everything is fitted again.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aira_lib.scaling.frontier import slope_weights
from aira_lib.scaling.law import Laws, fit_laws, too_few
from aira_lib.scaling.noise import Noise, t95
from aira_lib.scaling.profile import Profile
from aira_lib.scaling.redraw import Redraw

Floats = NDArray[np.float64]
Measure = Callable[[Laws], Floats]
"""What is of interest in a law: [draws] of laws."""

DRAWS = 400
ENOUGH = 0.95
"""So many of the draws must have a law, else the points do not determine one and no margin is given."""


@dataclass(frozen=True)
class Estimate:
    """A number and the half-width of its 95 % interval, where the noise is known."""

    value: float
    margin: float | None


@dataclass(frozen=True)
class LawFit:
    """The law of one design as measured (one draw), and as drawn for each share of the noise that trunks may have."""

    measured: Laws
    drawn: tuple[Laws, ...]
    degrees: int

    def estimate(self, of: Measure) -> Estimate:
        """Something of this law."""
        return self._estimate(of(self.measured), [of(laws) for laws in self.drawn])

    def difference(self, other: "LawFit", of: Measure) -> Estimate:
        """Something of this law less the same of another; both are of one `fit_designs`."""
        drawn = [of(one) - of(two) for one, two in zip(self.drawn, other.drawn, strict=True)]
        return self._estimate(of(self.measured) - of(other.measured), drawn)

    def _estimate(self, value: Floats, drawn: Sequence[Floats]) -> Estimate:
        found = [each[np.isfinite(each)] for each in drawn]
        if not found or min(len(each) for each in found) < ENOUGH * DRAWS:
            return Estimate(float(value[0]), None)
        return Estimate(float(value[0]), t95(self.degrees) * max(float(each.std(ddof=1)) for each in found))


def fit_designs(designs: Mapping[str, Sequence[Profile]], noise: Noise | None) -> dict[str, LawFit | str]:
    """Fit the law of every design.

    Args:
        designs: name -> profiles under all budgets.
        noise: of a run; None: margins are unknown.

    Returns:
        Name -> law, or why there is none, in words.
    """
    every = [profile for profiles in designs.values() for profile in profiles]
    redraws = [Redraw(every, noise, shared, DRAWS) for shared in noise.shares] if noise else []
    return {name: _fit(profiles, redraws, noise) for name, profiles in designs.items()}


def _fit(profiles: Sequence[Profile], redraws: Sequence[Redraw], noise: Noise | None) -> LawFit | str:
    points = [point for profile in profiles for point in profile.points]
    if reason := too_few(points, len(profiles)):
        return reason
    measured = fit_laws(points, np.array([[point.loss for point in points]]))
    if not measured.found.all():
        return "no law with positive terms and exponents in reason fits these points"
    drawn = tuple(fit_laws(points, np.hstack([redraw.losses(p) for p in profiles])) for redraw in redraws)
    return LawFit(measured, drawn, noise.degrees if noise else 0)


def optimal_exponent(laws: Laws) -> Floats:
    """The power of compute by which the best size grows."""
    return laws.optimal_exponent


def slope_over(budgets: Sequence[float]) -> Measure:
    """The slope of the line through log10 of the lowest losses under these budgets, as `frontier.line_of` takes it."""
    weights = slope_weights(budgets)
    return lambda laws: np.asarray(np.log10(laws.lowest(budgets)) @ weights)


def offset_over(budgets: Sequence[float]) -> Measure:
    """Log10 of the lowest loss at the centre of these budgets, on that line."""
    return lambda laws: np.asarray(np.log10(laws.lowest(budgets)).mean(axis=1))
