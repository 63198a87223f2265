"""Scores of agents on tasks: how often they submit something valid, how good it is, and what choosing it lost."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from aira_lib.agents import best_node
from aira_lib.report.columns import Cell, Column, Row, Table, format_number
from aira_lib.report.inputs import SearchRun
from aira_lib.scores.aggregates import aggregated, interquartile_mean, mean
from aira_lib.scores.gap import mean_gap
from aira_lib.scores.interval import Interval
from aira_lib.scores.ratings import Results, elo
from aira_lib.scores.runs import ScoredRun, agents_in, by_task, tasks_in
from aira_lib.scores.submissions import valid_submission_rate

_LRA = "LongContextReasoningLRA"
_NAME = 44  # characters


@dataclass(frozen=True)
class ScoredTask:
    """A task that runs are scored on.

    Attributes:
        name: As AIRS-Bench names tasks.
        lower_is_better: Direction of its metric.
        metric: Its name.
        examples: Of the test split, where the metric is the share of right ones; None: not known, or another metric.
        references: Scores of published results and baselines by name; they are players beside the agents.
    """

    name: str
    lower_is_better: bool = False
    metric: str = "Accuracy"
    examples: int | None = None
    references: Mapping[str, float] = field(default_factory=dict)


def scored_run(task: str, search: SearchRun) -> ScoredRun:
    """What a search submitted: the candidate with the best validation fitness, by its test score."""
    ranked = [node for node in search.nodes if node.ranks]
    best = best_node(search.nodes, search.lower_is_better)
    tests = [node.test for node in ranked if node.test is not None]
    peak = (min if search.lower_is_better else max)(tests, default=None)
    return ScoredRun(
        task, search.agent, search.seed, best.test if best else None, peak, len(tests), len(ranked),
        best.validation if best else None,
    )  # fmt: skip


def ratings_of(runs: Sequence[ScoredRun], tasks: Mapping[str, ScoredTask]) -> dict[str, Interval]:
    """Elo ratings of agents and references."""
    results: dict[str, dict[str, list[float | None]]] = {}
    for run in runs:
        results.setdefault(run.task, {}).setdefault(run.agent, []).append(run.score)
    for name in results:
        results[name] |= {reference: [score] for reference, score in tasks[name].references.items()}
    met: Results = results
    return elo(met, {name: task.lower_is_better for name, task in tasks.items()})


def short_name(task: str) -> str:
    """A task's name as a page has room for it: without what all of the Long Range Arena have in common."""
    name = task.removeprefix(_LRA)
    name = name.removesuffix("Accuracy") if name != task else name
    return name if len(name) <= _NAME else f"{name[: _NAME - 1]}…"


# --- tables -----------------------------------------------------------------------------------------------------------


def cells(key: str, found: Interval | None, spec: str = ".3f", per: float = 1.0) -> Row:
    """A value, its bounds, and the bounds in words, under keys that `columns` has."""
    if found is None:
        return {key: None, f"{key}_low": None, f"{key}_high": None, f"{key}_interval": None}
    known = found.low is not None and found.high is not None
    low, high = (format_number((bound or 0.0) / per, spec) for bound in (found.low, found.high))
    words: Cell = f"{low} to {high}" if known else None
    return {key: found.value, f"{key}_low": found.low, f"{key}_high": found.high, f"{key}_interval": words}


def columns(key: str, title: str, unit: str = "", spec: str = ".3f", per: float = 1.0) -> list[Column]:
    """Columns of a value with its interval; a CSV has the bounds as numbers."""
    return [
        Column(key, title, unit, spec=spec, per=per),
        Column(f"{key}_interval", "95 %", style="name"),
        Column(f"{key}_low", "", shown=False),
        Column(f"{key}_high", "", shown=False),
    ]


def task_columns() -> list[Column]:
    """A task by its short name, and by its whole one in a CSV."""
    return [Column("task", "Task", shown=False), Column("task_short", "Task", style="name")]


def task_cells(task: str) -> Row:
    """What `task_columns` have."""
    return {"task": task, "task_short": short_name(task)}


def by_task_table(runs: Sequence[ScoredRun], tasks: Mapping[str, ScoredTask]) -> Table:
    """One row a task and agent: valid submissions, best and submitted test scores, and the gap between them."""
    shown = [
        *task_columns(),
        Column("agent", "Agent", style="name"),
        Column("runs", "Runs", spec="d"),
        *columns("vsr", "Valid", "% of runs", ".0f", 0.01),
        *columns("peak", "Best tested"),
        *columns("score", "Submitted"),
        Column("gap", "Gap", "± standard error", spec=".4f", spread="gap_stderr"),
        Column("gap_by_noise", "Gap by noise", spec=".4f"),
        *columns("iqm", "IQM"),
    ]
    rows = [_row(tasks[name], agent, runs) for name in tasks_in(runs) for agent in _agents_on(name, runs)]
    caption = (
        "Test scores by task and agent, in the task's metric: the share of runs that submitted something valid "
        "(Wilson's interval), the best test score of any candidate and that of the submitted one (means over valid "
        "runs, and their interquartile mean, with bootstrap intervals over runs). The gap is what submitting the "
        "candidate with the best validation score lost; candidates that are all equally good would show about the gap "
        "by noise."
    )
    return Table("scores_by_task", caption, shown, rows, "No search has ended.", group="task_short")


def _agents_on(task: str, runs: Sequence[ScoredRun]) -> list[str]:
    return agents_in(run for run in runs if run.task == task)


def _row(task: ScoredTask, agent: str, runs: Sequence[ScoredRun]) -> Row:
    mine = by_task(runs, agent)[task.name]
    scores = [run.score for run in mine if run.score is not None]
    peaks = [run.peak for run in mine if run.valid and run.peak is not None]
    gap = mean_gap(mine, task.examples)
    return {
        **task_cells(task.name),
        "agent": agent,
        "runs": len(mine),
        **cells("vsr", valid_submission_rate([(len(scores), len(mine))]), ".0f", 0.01),
        **cells("peak", aggregated([peaks], mean) if peaks else None),
        **cells("score", aggregated([scores], mean) if scores else None),
        **cells("iqm", aggregated([scores], interquartile_mean) if scores else None),
        "gap": gap.mean if gap else None,
        "gap_stderr": gap.stderr if gap else None,
        "gap_by_noise": gap.by_noise if gap else None,
    }


def ratings_table(ratings: Mapping[str, Interval], references: Sequence[str]) -> Table:
    """Agents and references by rating, the highest first."""
    shown = [
        Column("player", "Player", style="name"),
        Column("is", "Is", style="text"),
        *columns("elo", "Elo", spec=".0f"),
    ]
    ordered = sorted(ratings.items(), key=lambda each: -each[1].value)
    rows: list[Row] = [
        {"player": player, "is": "reference" if player in references else "agent", **cells("elo", found, ".0f")}
        for player, found in ordered
    ]
    caption = (
        "Elo ratings by the model of Bradley and Terry: every pair of players has one match a task, shared by all "
        "pairs of their runs; a run without a valid submission loses to any other. The mean is 1000, 400 points are "
        "odds of ten to one, and one tie against the mean keeps the unbeaten finite. Intervals come from runs drawn "
        "anew within agent and task."
    )
    return Table("ratings", caption, shown, rows, "There are no two players to rate.")
