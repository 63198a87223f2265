"""One design under one compute budget: the losses of its sizes, their parabola, and where its minimum lies."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from aira_lib.scaling.parabola import Parabola, fit_parabola

Place = Literal["inside", "below", "above", "too few sizes"]
SIZES = 3
"""A parabola has three coefficients."""


@dataclass(frozen=True)
class Run:
    """A training run that ended well: its name, its held-out loss in nats per token, the trunk it branched from.

    Runs of one trunk share what its seed did to them; None: the run was trained alone.
    """

    name: str
    loss: float
    trunk: str | None = None


@dataclass(frozen=True)
class Point:
    """One size under one budget: non-embedding parameters, tokens trained on, training FLOPs a token, a run a seed."""

    size: float
    tokens: float
    flops_per_token: float
    runs: tuple[Run, ...]

    @property
    def loss(self) -> float:
        """Mean over runs."""
        return sum(run.loss for run in self.runs) / len(self.runs)


@dataclass(frozen=True)
class Profile:
    """The sizes of one design under one budget (FLOPs), smallest first, each with at least one run."""

    budget: float
    points: tuple[Point, ...]

    @cached_property
    def parabola(self) -> Parabola | None:
        """Loss against log10 of the size, all sizes weighted alike; None with fewer than three.

        A size with more seeds has no more weight: what a parabola does not fit would then be weighted otherwise in one
        design than in another, and no longer cancel in their difference.
        """
        if len({point.size for point in self.points}) < SIZES:
            return None
        return fit_parabola([math.log10(point.size) for point in self.points], [point.loss for point in self.points])

    @cached_property
    def place(self) -> Place:
        """Where the minimum lies: within the sizes, or at sizes below or above all of them."""
        fit = self.parabola
        if fit is None:
            return "too few sizes"
        if fit.inside and fit.minimum_loss is not None and fit.minimum_loss > 0:
            return "inside"
        if fit.minimum_log_n is None:  # no minimum at all: towards the end that is lower
            return "below" if self.points[0].loss <= self.points[-1].loss else "above"
        return "below" if fit.minimum_log_n < math.log10(self.points[0].size) else "above"

    @property
    def lowest(self) -> float:
        """The loss at the minimum, nats per token.

        Raises:
            ValueError: it does not lie within the sizes.
        """
        if self.place != "inside" or self.parabola is None or self.parabola.minimum_loss is None:
            raise ValueError(f"under {self.budget:g} FLOPs the minimum lies not within the sizes: {self.place}")
        return self.parabola.minimum_loss


def inside(profiles: Sequence[Profile]) -> dict[float, Profile]:
    """By budget, rising, the profiles whose minimum lies within the measured sizes."""
    return {each.budget: each for each in sorted(profiles, key=lambda p: p.budget) if each.place == "inside"}
