"""Agents and baselines compared: the best design so far against the evaluations that were spent on it.

An evaluation is a distinct design that the proxy scored or failed to score; a program that submits nothing valid costs
a step but no evaluation. Lines are medians over an agent's seeds, bands the quartiles. A search that ended before
others keeps its best. A best is always chosen by validation fitness; the test fitness only looks on.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure as Canvas
from numpy.typing import NDArray

from aira_lib.records import Node
from aira_lib.report.columns import Column, Row, Table
from aira_lib.report.drawing import DASHES, PALETTE, WIDTH, Figure, render, safe_label
from aira_lib.report.entries import deviation, mean
from aira_lib.report.inputs import SearchRun
from aira_lib.report.searches import by_agent, is_valid, measure

Floats = NDArray[np.float64]
AFTER = (10, 25, 50, 100, 200)
RANDOM = "random"


@dataclass(frozen=True)
class Curve:
    """The best validation fitness so far of one search, by evaluation.

    Attributes:
        best: [evaluations]; NaN before the first valid design.
        validation: The best of all, and `test` its hidden test fitness; None where nothing was valid.
    """

    best: Floats
    validation: float | None
    test: float | None


@dataclass(frozen=True)
class Agents:
    """All searches of a study, by agent. `random` are the names of agents that draw designs at random."""

    curves: dict[str, list[Curve]]
    lower_is_better: bool
    random: tuple[str, ...]

    @property
    def evaluations(self) -> int:
        """The most that a search made."""
        return max((len(curve.best) for curves in self.curves.values() for curve in curves), default=0)

    def best_by_seed(self, agent: str) -> Floats:
        """Best so far, [seeds, evaluations]; a search that ended keeps its best."""
        padded = [
            np.pad(curve.best, (0, self.evaluations - len(curve.best)), mode="edge")
            for curve in self.curves[agent]
            if len(curve.best)
        ]
        return np.array(padded).reshape(-1, self.evaluations)

    def comparable(self) -> bool:
        """Whether there is something to compare: two agents that evaluated two designs or more."""
        return sum(any(len(curve.best) > 1 for curve in curves) for curves in self.curves.values()) > 1


def agents_compared(searches: Sequence[SearchRun], random: Sequence[str]) -> Agents:
    """Bring searches together; `random` names the agents that draw at random."""
    lower_is_better = any(run.lower_is_better for run in searches)
    groups = {agent: [_curve(run.nodes, lower_is_better) for run in runs] for agent, runs in by_agent(searches).items()}
    found = {agent: curves for agent, curves in groups.items() if any(len(curve.best) for curve in curves)}
    return Agents(found, lower_is_better, tuple(name for name in random if name in found))


def _curve(nodes: Sequence[Node], lower_is_better: bool) -> Curve:
    sign = -1.0 if lower_is_better else 1.0
    first: dict[str | None, Node] = {}
    for node in nodes:
        if _was_evaluated(node):
            first.setdefault(node.design, node)
    evaluated = list(first.values())
    values = [sign * (node.validation or 0.0) if node.ranks else -np.inf for node in evaluated]
    best = np.maximum.accumulate(np.array(values, dtype=np.float64)) if values else np.empty(0)
    top = evaluated[int(np.argmax(values))] if values and max(values) > -np.inf else None
    return Curve(
        np.where(np.isinf(best), np.nan, sign * best),
        top.validation if top else None,
        top.test if top else None,
    )


def _was_evaluated(node: Node) -> bool:
    return node.design is not None and (node.evaluation is not None or is_valid(node))


# --- the figure ------------------------------------------------------------------------------------------------------


def agents_figure(agents: Agents) -> Figure | None:
    """Best so far against evaluations: medians over seeds with quartiles as bands."""
    if not agents.comparable():
        return None
    x = np.arange(1, agents.evaluations + 1)

    def draw(canvas: Canvas) -> None:
        axes = canvas.subplots()
        for row, agent in enumerate(agents.curves):
            best = agents.best_by_seed(agent)
            colour, dash = PALETTE[row % len(PALETTE)], DASHES[row % len(DASHES)]  # agents often share a stretch
            low, middle, high = np.quantile(best, (0.25, 0.5, 0.75), axis=0)
            label = f"{agent} ({len(best)} seed{'s' * (len(best) > 1)})"
            axes.step(x, middle, where="post", color=colour, linestyle=dash, label=safe_label(label))
            axes.fill_between(x, low, high, step="post", color=colour, alpha=0.13, linewidth=0)
        axes.set_xlim(1, max(2, agents.evaluations))
        axes.set_xlabel("evaluations (distinct designs)")
        axes.set_ylabel(f"best validation {measure(agents.lower_is_better)} so far")
        canvas.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=3)

    return render("agents", WIDTH, 4.0 + 0.2 * -(-len(agents.curves) // 3), draw)


# --- the table -------------------------------------------------------------------------------------------------------


def agents_table(agents: Agents) -> Table:
    """One row an agent: how far it came with how many evaluations."""
    unit = measure(agents.lower_is_better)
    after = [n for n in AFTER if n <= agents.evaluations]
    columns = [
        Column("agent", "Agent", style="name"),
        Column("seeds", "Seeds", spec="d"),
        Column("evaluations", "Evaluations", "median", spec=".4g"),
        *(Column(f"after_{n}", f"After {n}", f"median {unit}", spec=".3f") for n in after),
        Column("area", "Area", f"mean best so far, {unit}", spec=".3f", spread="area_sd"),
        Column("best_validation", "Best a seed", f"validation {unit}", spec=".3f", spread="best_validation_sd"),
        Column("best_test", "Its hidden test", unit, spec=".3f", spread="best_test_sd"),
    ]
    if agents.random:
        columns += [
            Column("to_random", "To random's best", "median evaluations", spec=".3g"),
            Column("reached", "Reached by", "% of seeds", spec=".0f", per=0.01),
        ]
    target = _target(agents)
    rows = [_row(agent, agents, after, target) for agent in agents.curves]
    return Table("agents", _caption(agents, target), columns, rows, "No search has evaluated a design.")


def _caption(agents: Agents, target: float | None) -> str:
    caption = (
        "Agents by evaluations: the median over seeds of the best validation fitness after so many, and its mean over "
        f"all of the first {agents.evaluations} (a search that ended before keeps its best; before its first valid "
        "design it has the worst of the study). The best of a seed is chosen by validation; its test fitness was never "
        "shown to the agent. ± is the standard deviation over seeds."
    )
    if target is None:
        return caption
    return (
        f"{caption} Random search's best is the median over its seeds, {target:.3f}; the median evaluations to it are "
        "those of the seeds that reached it."
    )


def _target(agents: Agents) -> float | None:
    """The median over random search's seeds of their final best."""
    final = [c.validation for name in agents.random for c in agents.curves[name] if c.validation is not None]
    return float(np.median(final)) if final else None


def _row(agent: str, agents: Agents, after: Sequence[int], target: float | None) -> Row:
    curves, best = agents.curves[agent], agents.best_by_seed(agent)
    filled = np.where(np.isnan(best), _worst(agents), best)
    validation = [curve.validation for curve in curves if curve.validation is not None]
    test = [curve.test for curve in curves if curve.test is not None]
    areas = [float(area) for area in filled.mean(axis=1)]
    reached = [n for row in best if (n := _first_reach(row, target, agents.lower_is_better)) is not None]
    return {
        "agent": agent,
        "seeds": len(curves),
        "evaluations": float(np.median([len(curve.best) for curve in curves])),
        **{f"after_{n}": float(np.median(filled[:, n - 1])) for n in after},
        "area": mean(areas), "area_sd": deviation(areas),
        "best_validation": mean(validation), "best_validation_sd": deviation(validation),
        "best_test": mean(test), "best_test_sd": deviation(test),
        "to_random": float(np.median(reached)) if reached else None,
        "reached": len(reached) / len(curves),
    }  # fmt: skip


def _worst(agents: Agents) -> float:
    """The worst best so far of the study: what stands for nothing valid yet."""
    values = np.concatenate([curve.best for curves in agents.curves.values() for curve in curves])
    values = values[~np.isnan(values)]
    if not len(values):
        return 0.0
    return float(values.max() if agents.lower_is_better else values.min())


def _first_reach(best: Floats, target: float | None, lower_is_better: bool) -> int | None:
    """The evaluation with which a search first was as good as the target."""
    if target is None:
        return None
    hits = np.flatnonzero(best <= target if lower_is_better else best >= target)
    return int(hits[0]) + 1 if len(hits) else None


def curves_table(agents: Agents) -> Table:
    """The data of the figure: median and quartiles by agent and evaluation."""
    columns = [Column("agent", "Agent", style="name"), Column("evaluations", "Evaluations", spec="d")] + [
        Column(key, key, spec=".4f") for key in ("quartile_1", "median", "quartile_3")
    ]
    rows: list[Row] = []
    for agent in agents.curves:
        quartiles = np.quantile(agents.best_by_seed(agent), (0.25, 0.5, 0.75), axis=0)
        for n, (low, middle, high) in enumerate(quartiles.T.tolist(), 1):
            if not np.isnan(middle):
                rows.append({"agent": agent, "evaluations": n, "quartile_1": low, "median": middle, "quartile_3": high})
    return Table("agents_curves", "Best so far by agent and evaluation.", columns, rows, "Nothing was evaluated.")
