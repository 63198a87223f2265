"""Frontiers at equal compute, compared with intervals that come from the spread over seeds.

With one frontier a residual measures how little a power law fits, not noise; and three points of a parabola leave no
residual at all. So noise comes from runs that differ in nothing but the seed, pooled over designs, and goes through
the whole pipeline: parabolas, minima, lines (a parametric bootstrap). Half-widths are Student's t times the standard
deviation of what was fitted again, for the noise itself is known by few degrees of freedom.

Designs are compared by their differences at the budgets where both have a minimum inside the measured sizes. What a
straight line does not fit is much the same for both and cancels there, and the offset stands at the centre of the
budgets: at 1 FLOP, decades away, it would be the slope's error many times over.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from aira_lib.scaling.noise import Noise, t95
from aira_lib.scaling.parabola import Line, fit_line
from aira_lib.scaling.profile import Profile, inside
from aira_lib.scaling.redraw import Redraw

Floats = NDArray[np.float64]
Profiles = Sequence[Profile]
Verdict = Literal["within noise", "steeper", "flatter", "spread unknown", "too few common minima"]

BUDGETS = 3
"""So many minima make a line: with two, nothing would show whether they lie on one."""


@dataclass(frozen=True)
class Apart:
    """How far one design lies from another under one budget: log10 of the ratio of their lowest losses."""

    budget: float
    difference: float
    margin: float | None


@dataclass(frozen=True)
class Contrast:
    """A design's frontier against another's, from their minima under common budgets.

    `slope` is the difference of slopes (log10 loss a decade of FLOPs), `offset` that of log10 losses at the geometric
    mean of the common budgets; margins are half-widths of 95 % intervals. Negative is better.
    """

    apart: tuple[Apart, ...]
    slope: float | None
    slope_margin: float | None
    offset: float | None
    offset_margin: float | None

    @property
    def budgets(self) -> int:
        """How many are common."""
        return len(self.apart)

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

    def at(self, budget: float) -> float | None:
        """The fitted difference under a budget; None without a slope."""
        if self.slope is None or self.offset is None:
            return None
        centre = float(np.mean([math.log10(each.budget) for each in self.apart]))
        return self.offset + self.slope * (math.log10(budget) - centre)


def line_of(profiles: Profiles) -> Line | None:
    """The line of log10 loss against log10 FLOPs through minima inside the sizes; None with fewer than `BUDGETS`.

    The best measured size is no minimum: where the best lies beyond the sizes, its loss is too high, more so under
    some budgets, and a line through it would have another slope.
    """
    minima = inside(profiles)
    if len(minima) < BUDGETS:
        return None
    return fit_line([math.log10(budget) for budget in minima], [math.log10(p.lowest) for p in minima.values()])


def slope_margin(profiles: Profiles, noise: Noise | None) -> float | None:
    """Half-width of the 95 % interval of a frontier's slope; None without a line or with unknown noise.

    It has what seeds do. How little a straight line fits is not in it: that is what a comparison lets cancel.
    """
    minima = list(inside(profiles).values())
    if len(minima) < BUDGETS or noise is None:
        return None
    weights = slope_weights([each.budget for each in minima])
    return margin(noise, lambda shared: lowest_drawn(minima, Redraw(minima, noise, shared)) @ weights)


def contrast(profiles: Profiles, reference: Profiles, noise: Noise | None) -> Contrast:
    """Compare two frontiers by their differences at common budgets: at least one, `BUDGETS` for a slope."""
    one, other = common_minima(profiles, reference)
    if not one:
        return Contrast((), None, None, None, None)
    values = np.array([math.log10(a.lowest) - math.log10(b.lowest) for a, b in zip(one, other, strict=True)])
    budgets = [each.budget for each in one]
    weights = slope_weights(budgets) if len(budgets) >= BUDGETS else None
    # The columns of what is measured of the differences: the slope, the offset, and each by itself.
    parts = np.column_stack([np.zeros(len(one)) if weights is None else weights, np.full(len(one), 1 / len(one))])
    margins: list[float | None] = [None] * (2 + len(one))
    if noise is not None:
        margins = _margins(one, other, noise, np.hstack([parts, np.eye(len(one))])).tolist()
    apart = tuple(map(Apart, budgets, values.tolist(), margins[2:]))
    slope = None if weights is None else float(values @ weights)
    return Contrast(apart, slope, None if weights is None else margins[0], float(values.mean()), margins[1])


def common_minima(profiles: Profiles, reference: Profiles) -> tuple[list[Profile], list[Profile]]:
    """The profiles of both under the budgets where both have a minimum inside, by rising budget."""
    one, other = inside(profiles), inside(reference)
    common = [budget for budget in one if budget in other]
    return [one[budget] for budget in common], [other[budget] for budget in common]


def slope_weights(budgets: Sequence[float]) -> Floats:
    """What least squares multiplies values at budgets by to get a line's slope a decade."""
    centred = np.log10(budgets) - np.log10(budgets).mean()
    return np.asarray(centred / (centred @ centred))


def margin(noise: Noise, drawn: Callable[[float], Floats]) -> float:
    """Half-width of a 95 % interval of what `drawn` makes, [draws], of a share of the variance that trunks have."""
    return t95(noise.degrees) * max(float(drawn(shared).std(ddof=1)) for shared in noise.shares)


def _margins(one: Profiles, other: Profiles, noise: Noise, parts: Floats) -> Floats:
    """[parts]: half-widths of the intervals of combinations [budgets, parts] of the differences."""
    spreads = []
    for shared in noise.shares:
        redraw = Redraw([*one, *other], noise, shared)
        spreads.append(((lowest_drawn(one, redraw) - lowest_drawn(other, redraw)) @ parts).std(axis=0, ddof=1))
    return np.asarray(t95(noise.degrees) * np.max(spreads, axis=0))


def lowest_drawn(minima: Profiles, redraw: Redraw) -> Floats:
    """[draws, budgets]: log10 of the lowest losses of parabolas through losses drawn anew."""
    return np.stack([_lowest(each, redraw.losses(each)) for each in minima], axis=1)


def _lowest(profile: Profile, losses: Floats) -> Floats:
    """[draws], of losses [draws, sizes]; a minimum that a draw moves out of the sizes counts at their edge."""
    x = np.log10([point.size for point in profile.points])
    x = x - x.mean()
    a, b, c = np.linalg.pinv(np.vander(x, 3)) @ losses.T
    with np.errstate(divide="ignore", invalid="ignore"):
        inner = np.where(a > 0, np.clip(-b / (2 * a), x.min(), x.max()), x.min())
    edges = (np.full_like(inner, x.min()), np.full_like(inner, x.max()))
    values = np.stack([(a * at + b) * at + c for at in (inner, *edges)])
    return np.asarray(np.log10(np.maximum(values.min(axis=0), math.ulp(1.0))))
