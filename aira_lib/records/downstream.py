"""Scores of downstream tasks, by task and by item."""

from typing import Literal

from aira_lib.records.row import HarmlessText, Row
from aira_lib.records.training import PretrainPoint

ITEMS = "items.parquet"
"""Beside `downstream.json`: a row an item, see `aira_lib.downstream`."""


class Measured(Row):
    """A mean over items, from 0 to 1, with its standard error (None of a single item)."""

    value: float
    stderr: float | None


class TaskScore(Row):
    """One task with one number of shots.

    `split` is what was scored, `paper_split` what the paper's harness scores; `items` were scored of the `available`.
    `metrics` has acc and acc_norm, or f1 and exact; `primary` names the one that the paper prints. `chance` is what
    guessing gives of it, None where nobody can guess. Of `cut` items a prompt was longer than the model's context and
    lost its beginning. `constant`: the same choice by number, of all items. `data` are source and SHA-256 of the items.
    """

    task: str
    shots: int
    split: str
    paper_split: str
    primary: str
    metrics: dict[str, Measured]
    chance: float | None
    items: int
    available: int
    cut: int
    constant: bool
    data: dict[str, str]
    note: HarmlessText = ""
    seconds: float = 0.0


class FailedTask(Row):
    """A task that has no score, and why."""

    task: str
    shots: int
    reason: HarmlessText


class Downstream(Row):
    """All that was scored of one checkpoint; `prefix` is the token that every prompt begins with, as in training."""

    point: PretrainPoint
    status: Literal["ok", "diverged"]
    tasks: tuple[TaskScore, ...] = ()
    failed: tuple[FailedTask, ...] = ()
    tokenizer: str = ""
    prefix: int | None = None
    limit: int | None = None
    seed: int = 0
    precision: str | None = None
    device: str | None = None
    versions: dict[str, str] = {}
    seconds: float = 0.0
