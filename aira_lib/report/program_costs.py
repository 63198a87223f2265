"""What the best programs cost: growth with length, parameters and speed, beside their scores."""

from collections.abc import Sequence

from aira_lib.records import Node
from aira_lib.report.columns import Column, Row, Table
from aira_lib.report.improvements import changed
from aira_lib.report.inputs import SearchRun
from aira_lib.tasks.programs.costs import LINEAR, SUB_QUADRATIC, Costs, costs_of
from aira_lib.tasks.task import SearchTask

_MOST = 20
_CAPTION = (
    "The best valid programs of all searches by validation, and what they cost. Exponents are of the length, from "
    "twice to four times a row's, of a training step's work and memory: "
    f"up to {LINEAR:g} is called linear, up to {SUB_QUADRATIC:g} sub-quadratic. They, the ratio to the base and steps "
    "are described by a process that holds the submitted code, not by a judge: code that is written to lie there can. "
    "The base is the task's own, in Long Range Arena the softmax Transformer. Parameters, those of the saved weights, "
    "and seconds, of the whole training with its start and compilation, are the harness's."
)


def has_costs(searches: Sequence[SearchRun]) -> bool:
    """Whether more is known of what programs cost than parameters."""
    found = (costs_of(node.measures) for search in searches for node in search.nodes)
    return any(costs._replace(parameters=None) != Costs() for costs in found)


def costs_table(task: SearchTask, searches: Sequence[SearchRun], name: str, most: int | None = _MOST) -> Table:
    """A row a valid program, the best first.

    Args:
        task: What was searched.
        searches: Of which.
        name: Of the table.
        most: Rows; None: all.
    """
    sign = 1.0 if task.lower_is_better else -1.0
    found = [(search, node) for search in searches for node in search.nodes if node.good]
    ordered = sorted(found, key=lambda each: sign * (each[1].validation or 0.0))
    columns = [
        Column("agent", "Agent", style="name"),
        Column("seed", "Seed", spec="d"),
        Column("step", "Step", spec="d"),
        Column("id", "Node", shown=False),
        Column("validation", task.metric, "validation", spec=".4f"),
        Column("test", task.metric, "test", spec=".4f"),
        Column("growth", "Growth", style="name"),
        Column("flops_exponent", "Work", "power of length", spec=".2f"),
        Column("memory_exponent", "Memory", "power of length", spec=".2f"),
        Column("parameters", "Parameters", spec=",.0f"),
        Column("base_ratio", "Parameters", "of the base's", spec=".2f"),
        Column("steps_per_second", "Speed", "steps a second", spec=".3g"),
        Column("change", "What it is", style="text"),
    ]
    rows = [_row(search, node) for search, node in ordered[:most]]
    return Table(name, _CAPTION, columns, rows, "No search has found a valid program.")


def _row(search: SearchRun, node: Node) -> Row:
    costs = costs_of(node.measures)
    return {
        "agent": search.agent, "seed": search.seed, "step": node.step, "id": node.id, "validation": node.validation,
        "test": node.test, "growth": costs.growth, **costs._asdict(), "change": changed(node),
    }  # fmt: skip
