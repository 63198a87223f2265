"""The equal-compute analysis: for every design and budget the size that was best, and the frontier over budgets."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from aira_lib.records import ScaledDesign, Score
from aira_lib.report.entries import Entry, baseline_families, entries, family, reference_family
from aira_lib.report.fit import Line, Parabola, fit_line, fit_parabola

Source = Literal["fitted minimum", "best measured"]


@dataclass(frozen=True)
class Optimum:
    """The best size of one design under one budget: `n` non-embedding parameters, loss in nats per token."""

    n: float
    loss: float
    source: Source


@dataclass(frozen=True)
class BudgetFit:
    """The sizes of one design under one budget, smallest first; no parabola with fewer than three sizes."""

    budget: float
    entries: tuple[Entry, ...]
    parabola: Parabola | None

    @property
    def measured(self) -> tuple[Entry, ...]:
        """The sizes that have a loss."""
        return tuple(entry for entry in self.entries if entry.mean is not None)

    @property
    def lowest(self) -> float:
        """The loss of the optimum.

        Raises:
            ValueError: there is none.
        """
        if self.optimum is None:
            raise ValueError(f"nothing was measured under {self.budget:g} FLOPs")
        return self.optimum.loss

    @property
    def optimum(self) -> Optimum | None:
        """The parabola's minimum where it lies within the measured sizes, else the best measured size."""
        fit = self.parabola
        if fit and fit.inside and fit.minimum_n is not None and fit.minimum_loss is not None and fit.minimum_loss > 0:
            return Optimum(fit.minimum_n, fit.minimum_loss, "fitted minimum")
        best = min(((e.mean, e.design.params_non_embedding) for e in self.entries if e.mean is not None), default=None)
        return Optimum(float(best[1]), best[0], "best measured") if best else None


@dataclass(frozen=True)
class Frontier:
    """One design over all budgets.

    `line` fits log10 loss against log10 FLOPs through the fitted minima; None with fewer than two. The best measured
    size is no minimum: where the best lies beyond the sizes, its loss is too high, more so under some budgets, and a
    line through it would have another slope.
    """

    names: tuple[str, ...]
    baseline: bool
    fits: tuple[BudgetFit, ...]
    line: Line | None

    @property
    def label(self) -> str:
        """Name of the design, and of those that have its layers at every size."""
        return " = ".join(self.names)

    @property
    def optima(self) -> list[tuple[float, Optimum]]:
        """(budget, optimum) of the budgets that have one."""
        return [(fit.budget, fit.optimum) for fit in self.fits if fit.optimum is not None]

    @property
    def minima(self) -> dict[float, BudgetFit]:
        """By budget, rising, the fits whose minimum lies within the measured sizes."""
        return {f.budget: f for f in self.fits if f.optimum is not None and f.optimum.source == "fitted minimum"}


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
    frontier = Frontier(tuple(names), any(name in baselines for name in names), fits, None)
    if len(frontier.minima) < 2:
        return frontier
    lowest = [math.log10(fit.lowest) for fit in frontier.minima.values()]
    return replace(frontier, line=fit_line([math.log10(budget) for budget in frontier.minima], lowest))


def _budget_fit(budget: float, own: Sequence[Entry]) -> BudgetFit:
    ordered = tuple(sorted(own, key=lambda entry: (entry.design.params_non_embedding, entry.design.name)))
    points = [(e.design.params_non_embedding, e.mean) for e in ordered if e.mean is not None]
    parabola = None
    if len({n for n, _ in points}) >= 3:
        parabola = fit_parabola([math.log10(n) for n, _ in points], [loss for _, loss in points])
    return BudgetFit(budget, ordered, parabola)


def reference_frontier(found: Sequence[Frontier], wanted: Sequence[str]) -> Frontier | None:
    """The baseline that slopes and losses are compared with: the first of the study's list that has a line."""
    fitted = [frontier for frontier in found if frontier.line is not None]
    families = [name for frontier in fitted for name in frontier.names]
    baselines = {name for frontier in fitted if frontier.baseline for name in frontier.names}
    name = reference_family(wanted, families, baselines)
    return next((frontier for frontier in fitted if name in frontier.names), None)
