"""The seeds of a search: its task's baseline is scored on several before the first step, its winner on others after.

Each run is kept as it ends, in `seeds.jsonl`: a search that was interrupted scores none of them twice.
"""

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Literal

from aira_lib.agents.journal import RowFile
from aira_lib.agents.noise import SEEDS, SIGMA, floor_of, mean_and_error
from aira_lib.agents.step import BASELINE, baseline_of, best_node
from aira_lib.errors import UserError
from aira_lib.records import SEED_RUNS, Node, SeedRun
from aira_lib.study.agent import NoiseSettings
from aira_lib.tasks.live import CandidateFailure, Progress, Reseeded, Scored
from aira_lib.work import Work


class SeedRuns:
    """The runs of one search, those that there are and those to come."""

    def __init__(self, work: Work, settings: NoiseSettings, lower_is_better: bool) -> None:
        """Read what there is; nothing is run."""
        self._work, self._settings, self._lower = work, settings, lower_is_better
        self._path = work.path / SEED_RUNS
        self._file = RowFile(self._path, SeedRun, "a run of a seed") if self._path.exists() else None

    def baseline(
        self, task: Reseeded, name: str, node_id: str, seconds_left: Callable[[float], float], progress: Progress
    ) -> Node:
        """Score the baseline on all seeds that it was not scored on yet.

        Args:
            task: The task, with a baseline.
            name: Of the task, for errors.
            node_id: Of the step that this becomes.
            seconds_left: Time left of the search, after the seconds that runs of an interrupted attempt took.
            progress: Part, whole and a note.

        Returns:
            The search's step 0.

        Raises:
            UserError: the baseline fails, or is not scored by a finite number: there is nothing to compare with.
        """
        wanted = self._settings.baseline_seeds
        before = sum(run.seconds for run in self._of(BASELINE))
        for number in range(len(self._of(BASELINE)), wanted):
            seed = task.seed + number
            within = partial(_say, progress, number, wanted, f"baseline, seed {seed} ({number + 1} of {wanted})")
            within(0, 1, "")
            score = partial(task.score_baseline, seed, partial(seconds_left, before), within)
            run = _run(score, BASELINE, node_id, seed)
            if run.validation is None:
                raise UserError(f"task {name}: its baseline failed with seed {seed}: {run.reason}")
            self._keep(run)
        return _node_of(self._of(BASELINE)[:wanted], node_id, task.baseline)

    def pending(self, nodes: Sequence[Node]) -> Node | None:
        """The winner, if it has still to be run on further seeds; None without a floor or where nothing was better."""
        best = best_node(nodes, self._lower)
        if baseline_of(nodes) is None or best is None or best.operator == BASELINE:
            return None
        return best if len(self._of("winner", best.id)) < self._settings.winner_seeds else None

    def winner(self, task: Reseeded, best: Node, submitted: Mapping[str, bytes], progress: Progress) -> None:
        """Score the winner on the seeds after the task's own that it was not scored on yet."""
        wanted = self._settings.winner_seeds
        for number in range(len(self._of("winner", best.id)), wanted):
            seed = task.seed + 1 + number
            within = partial(_say, progress, number, wanted, f"winner, seed {seed} ({number + 1} of {wanted})")
            within(0, 1, "")
            score = partial(task.score_again, submitted, seed, _no_limit, within)
            self._keep(_run(score, "winner", best.id, seed))

    def summary(self, nodes: Sequence[Node]) -> dict[str, Any]:
        """Its entry of search.json; empty without a floor."""
        floor, best = floor_of(nodes, self._settings.sigmas), best_node(nodes, self._lower)
        if floor is None:
            return {}
        told: dict[str, Any] = {
            "sigmas": floor.sigmas,
            "floor": floor.gain,
            "baseline": _told(self._of(BASELINE)),
            "within_noise": sum(node.within_noise for node in nodes),
        }
        if best is not None and best.operator != BASELINE:
            told["winner"] = {"step": best.step, "id": best.id, **_told(self._of("winner", best.id))}
        return {"noise": told}

    def _of(self, of: Literal["baseline", "winner"], node_id: str = "") -> list[SeedRun]:
        runs: Iterable[SeedRun] = self._file.rows if self._file else []
        return [run for run in runs if run.of == of and (not node_id or run.node == node_id)]

    def _keep(self, run: SeedRun) -> None:
        if self._file is None:
            self._file = RowFile(self._path, SeedRun, "a run of a seed")
        self._file.append(run)
        self._work.push(SEED_RUNS)


def _say(progress: Progress, number: int, wanted: int, what: str, part: float, whole: float, note: str) -> None:
    """Progress of one of several runs as progress of all."""
    progress(number + part / max(whole, 1), wanted, f"{what}: {note}" if note else what)


def _no_limit() -> float:
    """The hours of a search are its agent's; the winner's runs have the limits of the task."""
    return math.inf


def _run(score: Callable[[], Scored], of: Literal["baseline", "winner"], node_id: str, seed: int) -> SeedRun:
    """Score once; a failure, or a score that is no finite number, is the run's reason."""
    started = time.monotonic()
    try:
        scored, reason = score(), ""
    except CandidateFailure as failure:
        scored, reason = failure.scored, str(failure)
    validation = scored.validation
    if not reason and (validation is None or not math.isfinite(validation)):
        reason = "its score is not a finite number"
    if reason:
        validation = None
    return SeedRun(
        of=of, node=node_id, seed=seed, validation=validation, test=scored.test if not reason else None,
        measures=dict(scored.measures), reason=reason, seconds=time.monotonic() - started,
    )  # fmt: skip


def _node_of(runs: Sequence[SeedRun], node_id: str, program: str) -> Node:
    """The baseline as a step: means over its seeds of the score and of what all of them measured."""
    scores = [run.validation for run in runs if run.validation is not None]
    shared = [name for name in runs[0].measures if all(name in run.measures for run in runs)]
    told = mean_and_error(scores)
    measures = {name: sum(run.measures[name] for run in runs) / len(runs) for name in shared}
    return Node(
        step=0, id=node_id, operator=BASELINE, status="ok", code=program,
        plan=f"The task's baseline, on seeds {', '.join(str(run.seed) for run in runs)}.",
        validation=told["mean"], measures={**measures, SIGMA: told["sigma"] or 0.0, SEEDS: float(len(runs))},
        seconds=sum(run.seconds for run in runs),
    )  # fmt: skip


def _told(runs: Sequence[SeedRun]) -> dict[str, Any]:
    """Scores by seed, their mean, standard deviation and standard error; why others failed."""
    scores = {str(run.seed): run.validation for run in runs if run.validation is not None}
    failed = {str(run.seed): run.reason for run in runs if run.validation is None}
    told = {"scores": scores, **mean_and_error(list(scores.values()))}
    return {**told, "failed": failed} if failed else told
