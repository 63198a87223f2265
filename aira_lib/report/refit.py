"""Intervals of frontiers: everything is fitted again to losses that are drawn from the spread over seeds.

With one frontier a residual measures how little a power law fits, not noise; and three points of a parabola leave no
residual at all. So noise comes from runs that differ in nothing but the seed, pooled over designs, and goes through
the whole pipeline: parabolas, minima, lines (a parametric bootstrap). Half-widths are Student's t times the standard
deviation of what was fitted again, for the noise itself is known by few degrees of freedom.

Designs are compared by their differences at the budgets where both have a minimum inside the measured sizes. What a
straight line does not fit is much the same for both and cancels there, and the offset stands at the centre of the
budgets: at 1 FLOP, decades away, it would be the slope's error many times over.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from aira_lib.report.comparison import Comparison, t95
from aira_lib.report.entries import pooled_deviation
from aira_lib.report.isoflop import BudgetFit, Frontier

Floats = NDArray[np.float64]
Verdict = Literal["within noise", "steeper", "flatter", "spread unknown", "too few common minima"]
DRAWS = 2000


@dataclass(frozen=True)
class Noise:
    """How much the loss of one run varies with its seed alone, in nats per token, known by so many degrees."""

    sd: float
    degrees: int


def noise_of(found: Sequence[Frontier], comparison: Comparison) -> Noise | None:
    """The noise of a study's runs; None where no design has two seeds.

    Of those at equal FLOPs where some have several seeds, else of those at equal tokens.
    """
    equal_flops = [entry for frontier in found for fit in frontier.fits for entry in fit.entries]
    pooled = pooled_deviation(equal_flops) or pooled_deviation(comparison.entries)
    return Noise(*pooled) if pooled else None


@dataclass(frozen=True)
class Contrast:
    """A design's frontier against another's, from `budgets` common minima.

    `slope` is the difference of slopes (log10 loss a decade of FLOPs), `offset` that of log10 losses at the geometric
    mean of the budgets; margins are half-widths of 95 % intervals. Negative is better.
    """

    budgets: int
    slope: float | None
    slope_margin: float | None
    offset: float | None
    offset_margin: float | None

    @property
    def verdict(self) -> Verdict:
        """What may be said of the slopes."""
        if self.slope is None:
            return "too few common minima"
        if self.slope_margin is None:
            return "spread unknown"
        if abs(self.slope) <= self.slope_margin:
            return "within noise"
        return "steeper" if self.slope < 0 else "flatter"


def slope_margin(frontier: Frontier, noise: Noise | None) -> float | None:
    """Half-width of the 95 % interval of a frontier's slope; None without a line or with unknown noise."""
    if frontier.line is None or noise is None:
        return None
    budgets, minima = _budgets(frontier.minima), _redrawn(list(frontier.minima.values()), noise, 0)
    return t95(noise.degrees) * float((minima @ _slope_weights(budgets)).std(ddof=1))


def contrast(frontier: Frontier, reference: Frontier, noise: Noise | None) -> Contrast:
    """Compare two frontiers by their differences at common budgets; at least two make a slope."""
    common = sorted(frontier.minima.keys() & reference.minima.keys())
    if len(common) < 2:
        return Contrast(len(common), None, None, None, None)
    one, other = ([side.minima[budget] for budget in common] for side in (frontier, reference))
    difference = np.log10([fit.lowest for fit in one]) - np.log10([fit.lowest for fit in other])
    weights = _slope_weights(np.log10(common))
    margins: tuple[float | None, float | None] = (None, None)
    if noise is not None:
        drawn, t = _redrawn(one, noise, 0) - _redrawn(other, noise, 1), t95(noise.degrees)
        margins = t * float((drawn @ weights).std(ddof=1)), t * float(drawn.mean(axis=1).std(ddof=1))
    return Contrast(len(common), float(difference @ weights), margins[0], float(difference.mean()), margins[1])


def _budgets(minima: dict[float, BudgetFit]) -> Floats:
    return np.log10(list(minima))


def _slope_weights(x: Floats) -> Floats:
    """What least squares multiplies values at x by to get a line's slope."""
    centred = x - x.mean()
    return np.asarray(centred / (centred @ centred))


def _redrawn(fits: Sequence[BudgetFit], noise: Noise, seed: int) -> Floats:
    """[DRAWS, budgets]: log10 of the minimal losses of parabolas through losses drawn anew."""
    random = np.random.default_rng(seed)
    return np.stack([_minima(fit, noise, random) for fit in fits], axis=1)


def _minima(fit: BudgetFit, noise: Noise, random: np.random.Generator) -> Floats:
    """[DRAWS]; a minimum that a draw moves out of the measured sizes counts at their edge."""
    x = np.log10([entry.design.params_non_embedding for entry in fit.measured])
    x = x - x.mean()
    losses = np.array([entry.mean for entry in fit.measured], dtype=np.float64)
    sd = noise.sd / np.sqrt([len(entry.losses) for entry in fit.measured])
    drawn = losses + sd * random.standard_normal((DRAWS, len(x)))
    a, b, c = np.linalg.pinv(np.vander(x, 3)) @ drawn.T
    with np.errstate(divide="ignore", invalid="ignore"):
        inner = np.where(a > 0, np.clip(-b / (2 * a), x.min(), x.max()), x.min())
    values = np.stack([(a * at + b) * at + c for at in (inner, np.full(DRAWS, x.min()), np.full(DRAWS, x.max()))])
    return np.asarray(np.log10(np.maximum(values.min(axis=0), math.ulp(1.0))))
