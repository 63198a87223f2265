"""Search dynamics: what every agent tried, how far it came by step, and what failed."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aira_lib.agents import best_node
from aira_lib.agents.step import tried
from aira_lib.records import Node
from aira_lib.report.columns import Column, Row, Table
from aira_lib.report.entries import deviation, mean
from aira_lib.report.inputs import SearchRun

REASON_LENGTH = 90


def by_agent(searches: Sequence[SearchRun]) -> dict[str, list[SearchRun]]:
    """Searches by agent, in order of first appearance, seeds ascending."""
    groups: dict[str, list[SearchRun]] = {}
    for search in searches:
        groups.setdefault(search.agent, []).append(search)
    return {agent: sorted(runs, key=lambda run: run.seed) for agent, runs in groups.items()}


def is_valid(node: Node) -> bool:
    """Whether a node gave a design with a fitness."""
    return node.status == "ok" and node.validation is not None


def measure(lower_is_better: bool) -> str:
    """What a fitness of this direction is: MAD tasks have an accuracy, texts a loss."""
    return "loss" if lower_is_better else "accuracy"


def best_of(runs: Sequence[SearchRun]) -> Node | None:
    """The best node of several searches of one task; of equals, that of the first search."""
    bests = [best for run in runs if (best := best_node(run.nodes, run.lower_is_better))]
    sign = -1.0 if any(run.lower_is_better for run in runs) else 1.0
    return max(bests, key=lambda node: sign * (node.validation or 0.0), default=None)


@dataclass(frozen=True)
class Dynamics:
    """Best validation fitness so far, [seeds, steps]; NaN before a seed's first valid node."""

    agent: str
    steps: NDArray[np.int64]
    best: NDArray[np.float64]
    seeds: int

    @property
    def mean(self) -> NDArray[np.float64]:
        """Mean over seeds, from the step on at which every seed has a valid node."""
        return np.asarray(self.best.mean(axis=0), dtype=np.float64)


def dynamics(agent: str, runs: Sequence[SearchRun]) -> Dynamics | None:
    """Best so far by step over an agent's seeds; None when no seed has a valid node.

    A seed that stopped early keeps its best; a seed without any valid node is left out.
    """
    alive = [run for run in runs if any(node.ranks for node in run.nodes)]
    if not alive:
        return None
    steps = sorted({node.step for run in alive for node in run.nodes})
    position = {step: i for i, step in enumerate(steps)}
    # As for a fitness of which more is better; the sign of a loss is turned back at the end.
    sign = -1.0 if any(run.lower_is_better for run in runs) else 1.0
    best = np.full((len(alive), len(steps)), -np.inf)
    for row, run in enumerate(alive):
        for node in (node for node in run.nodes if node.ranks):
            column = position[node.step]
            best[row, column] = max(best[row, column], sign * (node.validation or 0.0))
    best = np.maximum.accumulate(best, axis=1)
    best[np.isinf(best)] = np.nan
    return Dynamics(agent, np.array(steps), sign * best, len(runs))


def search_table(searches: Sequence[SearchRun], metric: str = "") -> Table:
    """One row an agent; of candidates that are no designs, whose `metric` has a name, without the columns of such."""
    unit = metric or measure(any(search.lower_is_better for search in searches))
    columns = [
        Column("agent", "Agent", style="name"),
        Column("seeds", "Seeds", spec="d"),
        Column("nodes", "Nodes", spec=",d"),
        Column("budget_steps", "Budget", "steps", spec=",d"),
        Column("valid_share", "Valid", "% of nodes", spec=".0f", per=0.01),
        Column("distinct_designs", "Designs", "distinct", spec=",d"),
        Column("best_mean", "Best a seed", f"validation {unit}", spec=".3f", spread="best_sd"),
        Column("best_validation", "Best of all", f"validation {unit}", spec=".3f"),
        Column("best_test", "Its hidden test", unit, spec=".3f"),
        Column("best_design", "Best design", style="code"),
    ]
    rows = [_agent_row(agent, runs) for agent, runs in by_agent(searches).items()]
    caption = (
        "Searches by agent. The best of all is chosen by validation fitness; its test fitness was never shown to the "
        "agent. ± is the standard deviation over seeds."
    )
    caption += stopped_early(searches)
    if metric:
        columns = [column for column in columns if "design" not in column.key]
    return Table("searches", caption, columns, rows, "No search has left a journal.")


def _agent_row(agent: str, runs: Sequence[SearchRun]) -> Row:
    nodes = [node for run in runs for node in tried(run.nodes)]
    valid = [node for node in nodes if is_valid(node)]
    nodes_of_runs = [best_node(run.nodes, run.lower_is_better) for run in runs]
    bests = [best.validation for best in nodes_of_runs if best and best.validation is not None]
    best = best_of(runs)
    return {
        "agent": agent,
        "seeds": len(runs),
        "nodes": len(nodes),
        "budget_steps": sum(run.budget_steps for run in runs),
        "valid_share": len(valid) / len(nodes) if nodes else None,
        "distinct_designs": len({node.design for node in valid}),
        "best_mean": mean(bests),
        "best_sd": deviation(bests),
        "best_validation": best.validation if best else None,
        "best_test": best.test if best else None,
        "best_design": best.design if best else None,
    }


def stopped_early(searches: Sequence[SearchRun]) -> str:
    """A sentence on trainings that were stopped early, where there are any."""
    scored = {(run.agent, run.seed, n.design): n.evaluation for run in searches for n in run.nodes if n.evaluation}
    stopped = sum(e.stopped_at is not None for e in scored.values())
    if not stopped:
        return ""
    steps = [e.train_steps for e in scored.values()]
    spared = 1 - sum(steps) / (max(steps) * len(steps)) if max(steps) else 0.0
    return (
        f" The training of {stopped} of {len(scored)} designs was stopped early, which saved {spared:.0%} of the "
        "optimizer steps; their scores are those of then: they are in no ranking, neither here nor in the archive."
    )


def failure_table(searches: Sequence[SearchRun]) -> Table:
    """Why nodes failed: the first line of each reason, most frequent first."""
    counts = Counter(
        (run.agent, _reason(node)) for run in searches for node in run.nodes if not is_valid(node)
    )  # fmt: skip
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    rows: list[Row] = [{"agent": agent, "reason": reason, "nodes": n} for (agent, reason), n in ordered]
    columns = [
        Column("agent", "Agent", style="name"),
        Column("reason", "Reason", style="text"),
        Column("nodes", "Nodes", spec=",d"),
    ]
    return Table("failures", "Why nodes failed.", columns, rows, "No node failed.")


def _reason(node: Node) -> str:
    line = next(iter(node.reason.strip().splitlines()), "") or "no reason given"
    return line if len(line) <= REASON_LENGTH else line[: REASON_LENGTH - 1] + "…"


def steps_table(searches: Sequence[SearchRun]) -> Table:
    """Every node of every search with the best so far: the data of the figure."""
    columns = [Column(key, key, style="text") for key in ("agent", "seed", "step", "operator", "status", "design")] + [
        Column(key, key) for key in ("validation", "test", "best_so_far")
    ]
    rows: list[Row] = []
    for run in searches:
        best: float | None = None
        better = min if run.lower_is_better else max
        for node in run.nodes:
            if node.ranks and node.validation is not None:
                best = node.validation if best is None else better(best, node.validation)
            rows.append(
                {
                    "agent": run.agent, "seed": run.seed, "step": node.step, "operator": node.operator,
                    "status": node.status, "design": node.design, "validation": node.validation, "test": node.test,
                    "best_so_far": best,
                }
            )  # fmt: skip
    return Table("search_steps", "Every node of every search.", columns, rows)
