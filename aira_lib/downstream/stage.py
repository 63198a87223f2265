"""Score a final checkpoint on downstream tasks, one after the other; a task that fails leaves the others' scores."""

import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from aira_lib.console import duration
from aira_lib.downstream.kept import FinishedTasks
from aira_lib.downstream.scorer import Diverged, Scorer, Told
from aira_lib.downstream.tables import TaskShots, tasks_named
from aira_lib.errors import UserError
from aira_lib.foreign import in_a_line
from aira_lib.records import Downstream, FailedTask, TaskScore, TrainingRun, read_row
from aira_lib.study import DataSection, DownstreamSection
from aira_lib.work import Work

PACKAGES = ("lm-eval", "datasets", "transformers")
"""Whose versions decide what is asked, and how that is scored."""


def downstream(section: DownstreamSection, data: DataSection, record: Path, work: Work) -> None:
    """Write `downstream.json` (a `Downstream`) and `items.parquet` for the training run in the folder `record`.

    A run that diverged is not scored. An interrupted stage goes on behind the last task that it finished. What another
    attempt may mend (memory that ran out, a disk that is full) ends the stage; any other failure is that of its task.

    Args:
        section: settings.
        data: of the study, whose text says what the tokenizer was.
        record: the folder of the run's record.
        work: the workplace.

    Raises:
        UserError: there is no such task, no task has data, the record has no readable checkpoint, its tokenizer is not
            at hand, or AIRA_DEVICE names a device that is not here.
    """
    started = time.monotonic()
    torch.set_num_threads(work.threads)
    run, kept = read_row(record / "run.json", TrainingRun), FinishedTasks(work)
    found = Downstream(
        point=run.point, status=run.status, limit=section.limit, seed=section.seed,
        versions={name: version(name) for name in PACKAGES},
    )  # fmt: skip
    if run.status == "ok":
        scorer = Scorer(section, data, run, record)
        found = found.model_copy(update=scorer.describe())
        try:
            found = found.model_copy(update=_Line(scorer, kept, run, work).walk(tasks_named(section.tasks)))
        except Diverged:  # finite weights may still overflow
            found = found.model_copy(update={"status": "diverged"})
    kept.join(found.tasks)
    found = found.model_copy(update={"seconds": time.monotonic() - started})
    (work.path / "downstream.json").write_text(found.json_line(), encoding="utf-8")
    kept.clear()
    work.progress(1, 1, _in_words(found))


class _Line:
    """The tasks of one checkpoint, one after the other."""

    def __init__(self, scorer: Scorer, kept: FinishedTasks, run: TrainingRun, work: Work) -> None:
        self._scorer, self._kept, self._run, self._work = scorer, kept, run, work

    def walk(self, pairs: tuple[TaskShots, ...]) -> dict[str, tuple[TaskScore | FailedTask, ...]]:
        """Those that have scores, and those that have none, as a `Downstream` holds them.

        Raises:
            Exception: none has a score: the error of the first.
        """
        scores, failed, first = list[TaskScore](), list[FailedTask](), None
        for number, pair in enumerate(pairs):
            try:
                score, rows = self._score(pair, self._told(pair, number, len(pairs)))
            except (Diverged, OSError, MemoryError, torch.OutOfMemoryError):
                raise  # the checkpoint's end, or what another attempt may mend
            except Exception as error:
                first = first or error
                failed.append(_failed(pair, error))
                continue
            if rows is not None:
                self._kept.keep(score, rows)
            self._log(score)
            scores.append(score)
        if first and not scores:
            raise first
        return {"tasks": tuple(scores), "failed": tuple(failed)}

    def _score(self, pair: TaskShots, told: Told) -> tuple[TaskScore, list[dict[str, Any]] | None]:
        """A task's score, and its items where it is not kept yet."""
        kept = self._kept.score(pair[0].name, pair[1])
        return (kept, None) if kept else self._scorer.score(pair, told)

    def _log(self, score: TaskScore) -> None:
        """Each metric, as a share from 0 to 1, at the step of the checkpoint."""
        values = {f"downstream/{score.task}-{score.shots}/{name}": of.value for name, of in score.metrics.items()}
        self._work.log.metrics(values, step=self._run.steps)

    def _told(self, pair: TaskShots, number: int, count: int) -> Told:
        """What tells how far the stage is, and how long its present task still takes."""
        started, (task, shots) = time.monotonic(), pair

        def tell(share: float, what: str) -> None:
            left = (time.monotonic() - started) * (1 - share) / share if share else None
            about = f", about {duration(left)} left of it" if left is not None else ""
            self._work.progress(number + share, count, f"{task.name} {shots}-shot: {what}{about}")

        return tell


def _failed(pair: TaskShots, error: Exception) -> FailedTask:
    reason = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
    return FailedTask(task=pair[0].name, shots=pair[1], reason=in_a_line(reason))


def _in_words(found: Downstream) -> str:
    if found.status != "ok":
        return "diverged"
    without = f", {len(found.failed)} without a score" * bool(found.failed)
    return f"{len(found.tasks)} tasks scored{without}"
