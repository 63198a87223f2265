"""What scores are computed of: runs of agents on tasks, each with what it submitted in the end."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class ScoredRun:
    """One run of an agent on a task.

    Attributes:
        task: Its name.
        agent: Who searched.
        seed: Which of the agent's runs on the task.
        score: Test score of what was submitted, in the units of the task's metric; None: nothing valid was.
        peak: Best test score of all candidates that have one, submitted or not; None where none has.
        tested: How many candidates have a test score.
        candidates: How many could have been submitted.
        validation: What the submitted one's validation score was.
    """

    task: str
    agent: str
    seed: int
    score: float | None
    peak: float | None = None
    tested: int = 0
    candidates: int = 0
    validation: float | None = None

    def __post_init__(self) -> None:
        """Take what is no finite number for no submission: it cannot be compared with anything."""
        for name in ("score", "peak"):
            value = getattr(self, name)
            if value is not None and not math.isfinite(value):
                object.__setattr__(self, name, None)

    @property
    def valid(self) -> bool:
        """Whether something valid was submitted."""
        return self.score is not None


def tasks_in(runs: Iterable[ScoredRun]) -> list[str]:
    """Tasks, in order of first appearance."""
    return list(dict.fromkeys(run.task for run in runs))


def agents_in(runs: Iterable[ScoredRun]) -> list[str]:
    """Agents, in order of first appearance."""
    return list(dict.fromkeys(run.agent for run in runs))


def by_task(runs: Iterable[ScoredRun], agent: str) -> dict[str, list[ScoredRun]]:
    """Of one agent: its runs on each task that it has runs on."""
    groups: dict[str, list[ScoredRun]] = {}
    for run in runs:
        if run.agent == agent:
            groups.setdefault(run.task, []).append(run)
    return groups


def common_tasks(runs: Sequence[ScoredRun]) -> list[str]:
    """Tasks on which every agent has a run, in order of first appearance: agents can be ranked by means over these."""
    theirs = [by_task(runs, agent) for agent in agents_in(runs)]
    return [task for task in tasks_in(runs) if all(task in mine for mine in theirs)]


def worst_valid(runs: Sequence[ScoredRun], lower_is_better: Mapping[str, bool]) -> dict[str, float]:
    """The worst valid score of each task over all agents and seeds; no entry where none is valid."""
    found: dict[str, float] = {}
    for run in runs:
        if run.score is not None:
            worse = max if lower_is_better[run.task] else min
            found[run.task] = worse(found.get(run.task, run.score), run.score)
    return found
