"""The figures of `aira scores`: the paper's Figures 8 to 11 and ratings, from own runs."""

from collections.abc import Sequence

from aira_lib.report.drawing import Figure
from aira_lib.report.scored import short_name
from aira_lib.report.scored_figures import Dots, dots_figure
from aira_lib.scores.aggregates import aggregated, mean
from aira_lib.scores.interval import Interval
from aira_lib.scores.runs import ScoredRun, agents_in, by_task
from aira_lib.scores.submissions import valid_submission_rate
from aira_lib.standings.board import Board


def peaks_figure(board: Board) -> Figure | None:
    """Figure 8: the mean best test score of any candidate, with the task's references as lines."""
    panels = [
        Dots(
            short_name(task),
            {agent: _mean([run.peak for run in runs]) for agent, runs in _runs_on(task, board)},
            lines=board.tasks[task].references,
        )
        for task in board.tasks
    ]
    return dots_figure("figure_8", panels, "best test score of any candidate")


def rates_figure(board: Board) -> Figure | None:
    """Figure 9: the share of runs that submitted something valid, by task."""
    panels = [
        Dots(short_name(task), {agent: _rate(runs) for agent, runs in _runs_on(task, board)}) for task in board.tasks
    ]
    return dots_figure("figure_9", panels, "valid submission rate, % of runs")


def normalised_figure(board: Board) -> Figure | None:
    """Figure 10: the mean normalised score over tasks, and its interquartile mean."""
    agents = {each.agent: each for each in board.agents}
    panels = [
        Dots("mean over tasks", {agent: each.ns for agent, each in agents.items()}),
        Dots("interquartile mean", {agent: each.iqm for agent, each in agents.items()}),
    ]
    return dots_figure("figure_10", panels, "normalised score")


def gaps_figure(board: Board) -> Figure | None:
    """Figure 11: the submitted test score against the best of any candidate."""
    panels = []
    for task in board.tasks:
        runs = dict(_runs_on(task, board))
        submitted = {agent: _mean([run.score for run in mine]) for agent, mine in runs.items()}
        peaks = {agent: _mean([run.peak for run in mine if run.valid]) for agent, mine in runs.items()}
        panels.append(Dots(short_name(task), submitted, {agent: each and each.value for agent, each in peaks.items()}))
    return dots_figure("figure_11", panels, "test score", ("submitted", "best of any candidate"))


def ratings_figure(board: Board) -> Figure | None:
    """Ratings of agents and references, the highest on top."""
    ordered = dict(sorted(board.ratings.items(), key=lambda each: -each[1].value))
    return dots_figure("ratings", [Dots("", ordered)], "Elo rating") if len(ordered) > 1 else None


def _runs_on(task: str, board: Board) -> list[tuple[str, list[ScoredRun]]]:
    found = [(agent, by_task(board.runs, agent).get(task, [])) for agent in agents_in(board.runs)]
    return [(agent, runs) for agent, runs in found if runs]


def _mean(scores: Sequence[float | None]) -> Interval | None:
    known = [score for score in scores if score is not None]
    return aggregated([known], mean) if known else None


def _rate(runs: Sequence[ScoredRun]) -> Interval:
    rate = valid_submission_rate([(sum(run.valid for run in runs), len(runs))])
    return Interval(100 * rate.value, 100 * (rate.low or 0.0), 100 * (rate.high or 0.0))
