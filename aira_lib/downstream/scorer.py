"""One task of one checkpoint: what is asked, what is answered, and what that is worth."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from aira_lib.device import device_kind, ready_device
from aira_lib.downstream.adapter import HarnessModel
from aira_lib.downstream.harness import HarnessTask, answered, harness_task
from aira_lib.downstream.items import items_of, measured, recount
from aira_lib.downstream.placed import data_here
from aira_lib.downstream.tables import TaskShots
from aira_lib.downstream.tokens import prompt_tokenizer
from aira_lib.records import Measured, TaskScore, TrainingRun
from aira_lib.settings import scratch_folder
from aira_lib.study import DataSection, DownstreamSection
from aira_lib.training.trained import trained_model

ANSWERS = "answers"
"""Folder of answers that are kept, below the scratch folder."""

_SAME = 1e-9
"""By how much two ways to count the same share may differ."""

Told = Callable[[float, str], None]
"""Told which share of a task is done, 0 to 1, and of what."""


class Diverged(Exception):
    """The model's answers are not finite."""


class Scorer:
    """A checkpoint that is asked tasks, one after the other.

    Args:
        section: which items, and how many tokens at once.
        data: of the study, see `prompt_tokenizer`.
        run: whose checkpoint.
        record: the folder of the run's record.

    Raises:
        UserError: no readable checkpoint, no tokenizer, no data, or no such device.
    """

    def __init__(self, section: DownstreamSection, data: DataSection, run: TrainingRun, record: Path) -> None:
        self._section, self._folder = section, data_here(section.data)
        self._tokens = prompt_tokenizer(run, data, record)
        self._precision = run.precision or "fp32"
        self._told: Told = lambda share, what: None
        self._model = HarnessModel(
            trained_model(run, record), run.point.design.scale, self._tokens, precision=self._precision,
            device=ready_device(), batch_tokens=section.batch_tokens, cache=scratch_folder() / ANSWERS,
            progress=lambda done, total: self._told(done / max(total, 1), f"{int(done):,} of {int(total):,} requests"),
        )  # fmt: skip

    def describe(self) -> dict[str, Any]:
        """What of a `Downstream` is known from the model."""
        tokens = self._tokens
        return {
            "tokenizer": f"{tokens.entry.name} {tokens.entry.digest[:12]}", "prefix": tokens.prefix,
            "precision": self._precision, "device": device_kind(),
        }  # fmt: skip

    def score(self, pair: TaskShots, told: Told) -> tuple[TaskScore, list[dict[str, Any]]]:
        """A task's score, and the rows of its items.

        Raises:
            Diverged: an answer is no number.
            UserError: the task has no data, or not enough of it.
        """
        started, self._told = time.monotonic(), told
        asked = harness_task(*pair, self._folder, self._section.limit, self._section.seed)
        told(0.0, "asking")
        samples = answered(asked, self._model)
        cut = self._model.cut
        rows = items_of(asked, samples, lambda request: (request.task_name, request.doc_id) in cut)
        return score_of(asked, rows, time.monotonic() - started), rows


def score_of(asked: HarnessTask, rows: Sequence[dict[str, Any]], seconds: float) -> TaskScore:
    """The score that rows of items make.

    Raises:
        Diverged: an answer is no number.
        ValueError: the harness's metrics are not those that the answers make when they are counted anew.
    """
    if not all(math.isfinite(each) for row in rows for each in row["loglikelihoods"] or ()):
        raise Diverged
    task, data = asked.task, asked.data
    metrics = {name: measured([row[name] for row in rows]) for name in task.metrics}
    _require_same(metrics, recount(rows))
    chosen = {row["chosen"] for row in rows}
    return TaskScore(
        task=task.name, shots=asked.shots, split=data.split, paper_split=task.paper_split,
        primary=task.primary(asked.shots), metrics=metrics, chance=task.chance, items=len(rows),
        available=len(data), cut=sum(row["cut"] for row in rows),
        constant=len(rows) > 1 and len(chosen) == 1 and None not in chosen, data=data.source, note=asked.note,
        seconds=seconds,
    )  # fmt: skip


def _require_same(metrics: Mapping[Any, Measured], counted: Mapping[str, Measured]) -> None:
    for name, found in metrics.items():
        if name not in counted or abs(found.value - counted[name].value) > _SAME:
            raise ValueError(
                f"{name} is {found.value} by the harness and {counted.get(name)} by the answers that were logged"
            )
