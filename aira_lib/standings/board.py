"""Everything that `aira scores` shows, computed from records, scales and references."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from aira_lib.report.scored import ScoredTask, ratings_of, scored_run, short_name
from aira_lib.scores.aggregates import aggregated, interquartile_mean, mean
from aira_lib.scores.bands import bands_by_rank, bands_by_threshold
from aira_lib.scores.interval import Interval
from aira_lib.scores.normalised import ScoreScale
from aira_lib.scores.runs import ScoredRun, agents_in, by_task, common_tasks, tasks_in, worst_valid
from aira_lib.scores.submissions import valid_submission_rate
from aira_lib.standings.anchors import merged
from aira_lib.standings.pinned import Pinned
from aira_lib.standings.reading import Records

ALL = "all"


@dataclass(frozen=True)
class Choices:
    """What was said beside the studies: anchors by task and name, and agents that are references and no contestants."""

    anchors: Mapping[str, Mapping[str, float]]
    references: Sequence[str] = ()


@dataclass(frozen=True)
class AgentStanding:
    """One agent: on how many tasks it has how many runs, and what it came to on those that all agents have runs on.

    Without such a task there is no mean; no `ns` where none of them has a scale.
    """

    agent: str
    tasks: int
    runs: int
    vsr: Interval | None
    ns: Interval | None
    iqm: Interval | None


@dataclass(frozen=True)
class PoolMean:
    """Mean NS on one task by one anchor over the agents of a pool, with the standard error over agents."""

    task: str
    anchor: str
    pool: str
    agents: int
    mean: float
    stderr: float | None
    band: str | None = None


@dataclass(frozen=True)
class Board:
    """What agents came to.

    Attributes:
        runs: Of contestants.
        tasks: What they were on, with references.
        compared: The tasks that every contestant has runs on: agents are ranked over these alone.
        scales: By task and anchor; the first anchor of a task counts for means.
        pinned: The tasks whose worst score is pinned.
        agents: Over all tasks.
        pools: By task, anchor and pool.
        ratings: Of agents and references.
        scaffolds: Of agents.
        remarks: What a reader has to know, in sentences.
    """

    runs: Sequence[ScoredRun]
    tasks: Mapping[str, ScoredTask]
    compared: Sequence[str]
    scales: Mapping[str, Mapping[str, ScoreScale]]
    pinned: Sequence[str]
    agents: Sequence[AgentStanding]
    pools: Sequence[PoolMean]
    ratings: Mapping[str, Interval]
    scaffolds: Mapping[str, str]
    remarks: Sequence[str]

    def first_anchor(self, task: str) -> str | None:
        """The anchor of a task that means are taken with; None where it has no scale."""
        return next(iter(self.scales.get(task, {})), None)

    def normalised(self, run: ScoredRun, anchor: str | None = None) -> float | None:
        """NS of a run by an anchor, by default the first; None where its task has no such scale."""
        scale = self.scales.get(run.task, {}).get(anchor or self.first_anchor(run.task) or "")
        return scale.normalised(run.score) if scale else None


def board_of(records: Records, pinned: Pinned, choices: Choices) -> Board:
    """Compute a board.

    Scores that cannot be placed, for want of an anchor or of the number of examples, are left out with a remark.
    """
    everything = [scored_run(each.task, each.run) for each in records.searches]
    runs = [run for run in everything if run.agent not in choices.references]
    lower = {name: task.lower_is_better for name, task in records.tasks.items()}
    worst = worst_valid(runs, lower)
    scales, remarks = _scales(records, pinned, choices, runs, worst)
    tasks = {name: _task(records, name, pinned, scales.get(name, {}), everything, choices) for name in tasks_in(runs)}
    compared = common_tasks(runs)
    bare = Board(runs, tasks, compared, scales, [], [], [], {}, records.scaffolds(), [])
    return replace(
        bare,
        pinned=[name for name in tasks if pinned.task(name).worst is not None],
        agents=[_standing(bare, agent) for agent in agents_in(runs)],
        pools=_pools(bare, pinned),
        ratings=ratings_of([run for run in runs if run.task in compared], tasks),
        remarks=[*_differing(runs, compared), *remarks, *_beaten(pinned, worst, lower)],
    )


def _differing(runs: Sequence[ScoredRun], compared: Sequence[str]) -> list[str]:
    """A line where agents have runs on different tasks: who lacks which, and what agents are ranked over therefore."""
    every = tasks_in(runs)
    if len(compared) == len(every):
        return []
    lacks = {agent: [task for task in every if task not in by_task(runs, agent)] for agent in agents_in(runs)}
    told = "; ".join(
        f"{agent} has no finished run on {', '.join(map(short_name, tasks))}" for agent, tasks in lacks.items() if tasks
    )
    if not compared:
        return [f"{told}. No task is common to all agents, so that none is ranked over tasks: compare them by task."]
    common = ", ".join(map(short_name, compared))
    return [f"{told}. VSR, NS, IQM, ratings and bands are over what all agents have runs on: {common}."]


# --- scales -----------------------------------------------------------------------------------------------------------


def _scales(
    records: Records, pinned: Pinned, choices: Choices, runs: Sequence[ScoredRun], worst: Mapping[str, float]
) -> tuple[dict[str, dict[str, ScoreScale]], list[str]]:
    """Scales by task and anchor, and why a task has none."""
    found: dict[str, dict[str, ScoreScale]] = {}
    remarks = []
    for name, task in records.tasks.items():
        published, said = records.published[name], pinned.task(name)
        anchors = merged(published.best, said.anchors, choices.anchors.get(name, {}))
        low = said.worst if said.worst is not None else worst.get(name)
        default = 0.0 if task.lower_is_better else 1.0
        optimum = next((each for each in (said.optimum, published.optimum) if each is not None), default)
        if not anchors:
            remarks.append(f"`{name}` has no anchor, so its scores are not normalised; name one with `--anchor`.")
        elif low is not None:
            for anchor, sota in anchors.items():
                try:
                    scale = ScoreScale(low, sota, optimum, said.examples or published.examples)
                    for run in runs:
                        if run.task == name:
                            scale.normalised(run.score)
                    found.setdefault(name, {})[anchor] = scale
                except ValueError as error:
                    remarks.append(f"`{name}` is not normalised by {anchor}: {error}.")
    return found, remarks


def _beaten(pinned: Pinned, worst: Mapping[str, float], lower: Mapping[str, bool]) -> list[str]:
    """What runs here scored below a pinned worst score, which stays."""
    said = []
    for name, score in worst.items():
        kept = pinned.task(name).worst
        if kept is not None and (score > kept if lower[name] else score < kept):
            said.append(
                f"`{name}`: a run scored {score:.6g}, worse than the pinned {kept:.6g}; normalised scores keep to what "
                "is pinned, and that run counts as 0."
            )
    return said


def _task(
    records: Records, name: str, pinned: Pinned, scales: Mapping[str, ScoreScale], runs: Sequence[ScoredRun],
    choices: Choices,
) -> ScoredTask:  # fmt: skip
    task, examples = records.tasks[name], pinned.task(name).examples or records.published[name].examples
    references = {f"SOTA ({anchor})": scale.sota for anchor, scale in scales.items()} | pinned.task(name).references
    for agent in choices.references:
        scores = [run.score for run in runs if (run.task, run.agent) == (name, agent) and run.score is not None]
        references |= {agent: float(np.mean(scores))} if scores else {}
    share = task.metric.lower() == "accuracy" and not task.lower_is_better
    return ScoredTask(name, task.lower_is_better, task.metric, examples if share else None, references)


# --- means ------------------------------------------------------------------------------------------------------------


def _standing(board: Board, agent: str) -> AgentStanding:
    mine = by_task(board.runs, agent)
    counts = [(sum(run.valid for run in mine[task]), len(mine[task])) for task in board.compared]
    placed = [[board.normalised(run) or 0.0 for run in mine[task]] for task in board.compared if board.scales.get(task)]
    return AgentStanding(
        agent,
        len(mine),
        sum(len(runs) for runs in mine.values()),
        valid_submission_rate(counts) if counts else None,
        aggregated(placed, mean) if placed else None,
        aggregated(placed, interquartile_mean) if placed else None,
    )


def _pools(board: Board, pinned: Pinned) -> list[PoolMean]:
    kinds = list(dict.fromkeys(board.scaffolds[run.agent] for run in board.runs))
    pools = [*(kinds if len(kinds) > 1 else []), ALL]
    found = [
        each for task in board.tasks for anchor in board.scales.get(task, {}) for pool in pools
        if (each := _pool(board, task, anchor, pool))
    ]  # fmt: skip
    bands = _bands(board, pinned, found)
    return [replace(each, band=bands.get(each.task)) if each.pool == ALL else each for each in found]


def _pool(board: Board, task: str, anchor: str, pool: str) -> PoolMean | None:
    means = []
    for agent in agents_in(board.runs):
        runs = by_task(board.runs, agent).get(task, [])
        if runs and pool in (ALL, board.scaffolds[agent]):
            means.append(float(np.mean([board.normalised(run, anchor) or 0.0 for run in runs])))
    if not means:
        return None
    stderr = float(np.std(means, ddof=1) / np.sqrt(len(means))) if len(means) > 1 else None
    return PoolMean(task, anchor, pool, len(means), float(np.mean(means)), stderr)


def _bands(board: Board, pinned: Pinned, pools: Sequence[PoolMean]) -> dict[str, str]:
    means = {
        each.task: each.mean
        for each in pools
        if each.pool == ALL and each.task in board.compared and each.anchor == board.first_anchor(each.task)
    }
    return bands_by_threshold(means, pinned.bands) if pinned.bands else bands_by_rank(means)
