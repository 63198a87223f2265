"""The equal-compute analysis: for every design and budget the size that was best, and the frontier over budgets."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from aira_lib.records import PretrainPoint, ScaledDesign, Score
from aira_lib.report.entries import Entry, baseline_families, entries, family, reference_family
from aira_lib.scaling.frontier import line_of
from aira_lib.scaling.noise import Noise, pooled_noise
from aira_lib.scaling.parabola import Line, Parabola
from aira_lib.scaling.profile import Point, Profile, Run, inside
from aira_lib.study import OptimizerSection

Source = Literal["fitted minimum", "best measured"]


@dataclass(frozen=True)
class Optimum:
    """The best size of one design under one budget: `n` non-embedding parameters, loss in nats per token."""

    n: float
    loss: float
    source: Source


@dataclass(frozen=True)
class BudgetFit:
    """The sizes of one design under one budget, smallest first; `profile` has those with a loss."""

    budget: float
    entries: tuple[Entry, ...]

    @cached_property
    def profile(self) -> Profile:
        """What the statistics read."""
        return Profile(self.budget, tuple(_point(entry) for entry in self.measured))

    @property
    def measured(self) -> tuple[Entry, ...]:
        """The sizes that have a loss."""
        return tuple(entry for entry in self.entries if entry.mean is not None)

    @property
    def parabola(self) -> Parabola | None:
        """Through all sizes with a loss; None with fewer than three."""
        return self.profile.parabola

    @property
    def optimum(self) -> Optimum | None:
        """The parabola's minimum where it lies within the measured sizes, else the best measured size."""
        fit = self.parabola
        if self.profile.place == "inside" and fit is not None and fit.minimum_n is not None:
            return Optimum(fit.minimum_n, self.profile.lowest, "fitted minimum")
        best = min(((e.mean, e.design.params_non_embedding) for e in self.entries if e.mean is not None), default=None)
        return Optimum(float(best[1]), best[0], "best measured") if best else None


@dataclass(frozen=True)
class Frontier:
    """One design over all budgets, under its name and those of designs that have its layers at every size."""

    names: tuple[str, ...]
    baseline: bool
    fits: tuple[BudgetFit, ...]

    @property
    def label(self) -> str:
        """Name of the design, and of those that have its layers at every size."""
        return " = ".join(self.names)

    @property
    def optima(self) -> list[tuple[float, Optimum]]:
        """(budget, optimum) of the budgets that have one."""
        return [(fit.budget, fit.optimum) for fit in self.fits if fit.optimum is not None]

    @cached_property
    def profiles(self) -> tuple[Profile, ...]:
        """By rising budget, of the budgets that have a loss."""
        return tuple(fit.profile for fit in self.fits if fit.measured)

    @property
    def minima(self) -> tuple[float, ...]:
        """The budgets whose minimum lies within the measured sizes, rising."""
        return tuple(inside(self.profiles))

    @cached_property
    def line(self) -> Line | None:
        """Of log10 loss against log10 FLOPs through the fitted minima alone; None with too few."""
        return line_of(self.profiles)


def began_alike(scores: Sequence[Score], optimizer: OptimizerSection) -> list[Score]:
    """Scores whose points name a trunk wherever the runs of a design and seed have their first steps in common.

    With an absolute warm-up and a stable phase a run that was trained alone is to the last bit the branch of a trunk.
    """
    if not optimizer.absolute_warmup or optimizer.schedule != "wsd":
        return list(scores)
    return [
        score.model_copy(update={"point": score.point.model_copy(update={"trunk": _trunk(score.point)})})
        for score in scores
    ]


def _trunk(point: PretrainPoint) -> str:
    return point.trunk or f"{point.design.name}.s{point.seed}"


def frontiers(scores: Sequence[Score], designs: Sequence[ScaledDesign]) -> list[Frontier]:
    """Fit every design that was trained at equal FLOPs; baselines last, else in order of appearance."""
    found = entries(score for score in scores if score.point.protocol == "isoflop" and score.point.budget_flops)
    baselines = baseline_families([*designs, *(entry.design for entry in found)])
    members: dict[str, list[Entry]] = {}
    for entry in found:
        for name in entry.names:
            members.setdefault(family(name), []).append(entry)
    # Families that share every run are one curve with several names.
    merged: dict[tuple[int, ...], list[str]] = {}
    for name, own in members.items():
        merged.setdefault(tuple(sorted(id(entry) for entry in own)), []).append(name)
    result = [_frontier(names, members[names[0]], baselines) for names in merged.values()]
    return sorted(result, key=lambda frontier: frontier.baseline)


def _frontier(names: list[str], own: Sequence[Entry], baselines: set[str]) -> Frontier:
    budgets = sorted({entry.scores[0].point.budget_flops or 0.0 for entry in own})
    fits = tuple(_budget_fit(b, [e for e in own if e.scores[0].point.budget_flops == b]) for b in budgets)
    return Frontier(tuple(names), any(name in baselines for name in names), fits)


def _budget_fit(budget: float, own: Sequence[Entry]) -> BudgetFit:
    return BudgetFit(budget, tuple(sorted(own, key=lambda e: (e.design.params_non_embedding, e.design.name))))


def _point(entry: Entry) -> Point:
    design, at = entry.design, entry.scores[0].point
    runs = tuple(
        Run(score.point.id, score.loss, score.point.trunk)
        for score in entry.scores
        if score.status == "ok" and score.loss is not None
    )
    return Point(float(design.params_non_embedding), float(at.tokens), float(design.flops_per_token), runs)


def noise_of(found: Sequence[Frontier], others: Sequence[Entry] = ()) -> Noise | None:
    """The noise of a study's runs; None where no design has two seeds.

    Args:
        found: designs at equal FLOPs; where some have several seeds, these tell it.
        others: designs at equal tokens, which tell it else.
    """
    equal_flops = [point for frontier in found for profile in frontier.profiles for point in profile.points]
    return pooled_noise(equal_flops) or pooled_noise(_point(entry) for entry in others if entry.losses)


def reference_frontier(found: Sequence[Frontier], wanted: Sequence[str]) -> Frontier | None:
    """The baseline that slopes and losses are compared with: the first of the study's list that has a line.

    Where none has a line, the first that has a minimum: losses can still be compared.
    """
    chosen = [frontier for frontier in found if frontier.baseline and frontier.line is not None]
    chosen = chosen or [frontier for frontier in found if frontier.baseline and frontier.minima]
    families = [name for frontier in chosen for name in frontier.names]
    name = reference_family(wanted, families, set(families))
    return next((frontier for frontier in chosen if name in frontier.names), None)
