"""The tables of `aira scores`: agents over tasks, normalised scores by task, the best of each task, the scales."""

import ast
from collections.abc import Sequence

from aira_lib.agents import best_node
from aira_lib.records import Node
from aira_lib.report.columns import Column, Row, Table
from aira_lib.report.scored import cells, columns, short_name, task_cells, task_columns
from aira_lib.scores.normalised import ScoreScale
from aira_lib.standings.board import Board
from aira_lib.standings.reading import Records, Searched

_WORDS = 160  # characters of what a model said of its program
_MOST_CONSTANTS = 10


def agents_table(board: Board) -> Table:
    """One row an agent, the highest mean first."""
    shown = [
        Column("agent", "Agent", style="name"),
        Column("scaffold", "Scaffold", style="name"),
        Column("tasks", "Tasks", spec="d"),
        Column("runs", "Runs", spec="d"),
        *columns("vsr", "VSR", "%", ".0f", 0.01),
        *columns("ns", "NS"),
        *columns("iqm", "NS, IQM"),
        *columns("elo", "Elo", spec=".0f"),
    ]
    ordered = sorted(board.agents, key=lambda each: -(each.ns.value if each.ns else -1.0))
    rows: list[Row] = [
        {
            "agent": each.agent, "scaffold": board.scaffolds[each.agent], "tasks": each.tasks, "runs": each.runs,
            **cells("vsr", each.vsr, ".0f", 0.01), **cells("ns", each.ns), **cells("iqm", each.iqm),
            **cells("elo", board.ratings.get(each.agent), ".0f"),
        }
        for each in ordered
    ]  # fmt: skip
    caption = (
        f"{_over(board)} VSR: the share of runs that submitted something valid (Wilson's interval). NS: "
        "the normalised score, 0 at the worst valid score and 1 at the anchor, counted in nines; a run without a valid "
        "submission has 0. Means are over tasks of means over runs, IQM is the mean of the middle half of all runs; "
        "both have bootstrap intervals over runs within tasks."
    )
    return Table("agents", caption, shown, rows)


def _over(board: Board) -> str:
    if len(board.compared) == len(board.tasks):
        return "Agents over all tasks."
    if not board.compared:
        return "Agents; no task is common to all of them, so that there are no means over tasks."
    return f"Agents over what all of them have runs on: {', '.join(map(short_name, board.compared))}."


def normalised_table(board: Board) -> Table:
    """Table 4: the mean NS of each task over agents, by anchor and pool of agents."""
    shown = [
        *task_columns(),
        Column("anchor", "Anchor", style="name"),
        Column("pool", "Agents", style="name"),
        Column("agents", "Number", spec="d"),
        Column("ns_mean", "NS", "± standard error over agents", spec=".3f", spread="ns_error"),
        Column("band", "Band", style="name"),
    ]
    rows: list[Row] = [
        {
            **task_cells(each.task), "anchor": each.anchor, "pool": each.pool, "agents": each.agents,
            "ns_mean": each.mean, "ns_error": each.stderr, "band": each.band,
        }
        for each in board.pools
    ]  # fmt: skip
    caption = "Normalised scores by task, as the paper's Table 4: means over agents of their means over runs."
    return Table("normalised", caption, shown, rows, "No task has an anchor to normalise by.", group="task_short")


def best_table(board: Board, records: Records) -> Table:
    """Table 14: the submission with the best test score of each task, and what it is."""
    shown = [
        *task_columns(),
        Column("anchors", "Anchors", style="text"),
        Column("score", "Test", spec=".4f"),
        Column("validation", "Validation", spec=".4f"),
        Column("agent", "Agent", style="name"),
        Column("seed", "Seed", spec="d"),
        Column("step", "Step", spec="d"),
        Column("constants", "Its constants", style="code"),
        Column("plan", "In its agent's words", style="text"),
    ]
    rows = [row for task in board.tasks if (row := _best_row(task, board, records))]
    caption = (
        "The best submission of each task, as the paper's Table 14. It is the best of many by its test score, so that "
        "score is higher than what it would have on other data of the kind."
    )
    return Table("best", caption, shown, rows, "Nothing valid was submitted.")


def _best_row(task: str, board: Board, records: Records) -> Row | None:
    sign = -1.0 if board.tasks[task].lower_is_better else 1.0
    valid = [run for run in board.runs if run.task == task and run.score is not None]
    if not valid:
        return None
    best = max(valid, key=lambda run: sign * (run.score or 0.0))
    node = _node(next(each for each in records.searches if _is(each, task, best.agent, best.seed)))
    anchors = ", ".join(f"{name} {scale.sota:.4g}" for name, scale in board.scales.get(task, {}).items())
    return {
        **task_cells(task), "anchors": anchors or None, "score": best.score, "validation": best.validation,
        "agent": best.agent, "seed": best.seed, "step": node.step, "constants": constants_of(node.code) or None,
        "plan": _in_words(node),
    }  # fmt: skip


def _is(each: Searched, task: str, agent: str, seed: int) -> bool:
    return (each.task, each.run.agent, each.run.seed) == (task, agent, seed)


def _node(search: Searched) -> Node:
    node = best_node(search.run.nodes, search.run.lower_is_better)
    assert node is not None  # a run with a score has a best
    return node


def _in_words(node: Node) -> str | None:
    text = node.design or " ".join(node.plan.split())
    return (text if len(text) <= _WORDS else text[: _WORDS - 1] + "…") or None


def constants_of(code: str) -> str:
    """Numbers that a program names at its top level in capitals, such as ``EMB_DIM=128``; nothing of what is no code.

    They are read, never run.
    """
    try:
        body = ast.parse(code).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ""
    found = [
        f"{target.id}={value}"
        for statement in body
        if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Constant)
        for target in statement.targets
        if isinstance(target, ast.Name) and target.id.isupper()
        if isinstance(value := statement.value.value, int | float) and not isinstance(value, bool)
    ]
    more = len(found) - _MOST_CONSTANTS
    return " ".join(found[:_MOST_CONSTANTS]) + (f" and {more} more" if more > 0 else "")


def scales_table(board: Board) -> Table:
    """What scores are normalised by."""
    shown = [
        *task_columns(),
        Column("anchor", "Anchor", style="name"),
        Column("sota", "Worth 1", spec=".4f"),
        Column("worst", "Worth 0", spec=".4f"),
        Column("pinned", "Pinned", style="text"),
        Column("optimum", "Optimum", spec="g"),
        Column("examples", "Test examples", spec=",d"),
    ]
    rows = [_scale(task, anchor, scale, board) for task, of in board.scales.items() for anchor, scale in of.items()]
    caption = (
        "What scores are normalised by, in each task's metric. A worst score that is not pinned is that of these runs, "
        "and further runs can move it and all normalised scores with it."
    )
    return Table("scales", caption, shown, rows, "No task has a scale.", group="task_short")


def _scale(task: str, anchor: str, scale: ScoreScale, board: Board) -> Row:
    return {
        **task_cells(task), "anchor": anchor, "sota": scale.sota, "worst": scale.worst, "pinned": task in board.pinned,
        "optimum": scale.optimum, "examples": scale.examples,
    }  # fmt: skip


def references_table(board: Board) -> Table:
    """Published results and baselines, with what they would be worth."""
    shown = [
        *task_columns(),
        Column("reference", "Reference", style="name"),
        Column("score", "Test", spec=".4f"),
        Column("ns", "NS", spec=".3f"),
    ]
    rows: list[Row] = []
    for name, task in board.tasks.items():
        scale = next(iter(board.scales.get(name, {}).values()), None)
        for reference, score in task.references.items():
            rows.append({**task_cells(name), "reference": reference, "score": score, "ns": _placed(scale, score)})
    caption = "References. They are players of the ratings, and in no mean over agents."
    return Table("references", caption, shown, rows, "There are no references.", group="task_short")


def _placed(scale: ScoreScale | None, score: float) -> float | None:
    """NS of a reference; None where it is perfect and nobody knows of how many examples."""
    try:
        return scale.normalised(score) if scale else None
    except ValueError:
        return None


def runs_table(board: Board, anchors: Sequence[str]) -> Table:
    """Every run: what was submitted, and NS by each anchor."""
    keys = ("task", "agent", "seed", "valid", "score", "peak", "validation", "candidates", "tested")
    shown = [Column(key, key, style="text") for key in keys]
    shown += [Column(f"ns_{anchor}", anchor) for anchor in anchors]
    rows: list[Row] = [
        {
            "task": run.task, "agent": run.agent, "seed": run.seed, "valid": run.valid, "score": run.score,
            "peak": run.peak, "validation": run.validation, "candidates": run.candidates, "tested": run.tested,
            **{f"ns_{anchor}": board.normalised(run, anchor) for anchor in anchors},
        }
        for run in board.runs
    ]  # fmt: skip
    return Table("runs", "Every run.", shown, rows)
