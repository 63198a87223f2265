"""Scores of one checkpoint for people: a table, and the same as CSV."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from aira_lib.architecture.pattern import parse
from aira_lib.console import duration
from aira_lib.flow.estimates import CPU_FLOPS_PER_SECOND
from aira_lib.records import Downstream, FailedTask, TaskScore, TrainingRun

if TYPE_CHECKING:
    from aira_lib.downstream.plan import PlannedTask

COLUMNS = ("task", "shots", "metric", "value", "stderr", "chance", "items", "available", "cut", "notes")


def show_scores(console: Console, found: Downstream) -> None:
    """Print a table of all tasks; the metric that the paper prints is marked, and what has no score is named."""
    point = found.point
    console.print(f"{point.id}: {point.design.name}, {point.design.pattern}", markup=False, highlight=False)
    if found.status != "ok":
        console.print("It diverged, and is not scored.")
        return
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for column in ("task", "shots", "metric", "value (%)", "chance (%)", "items", "cut", "notes"):
        table.add_column(column, justify="left" if column in ("task", "metric", "notes") else "right")
    for score in found.tasks:
        for place, metric in enumerate(score.metrics):
            first = place == 0
            table.add_row(*map(Text, _cells(score, metric, first)))
    console.print(table)
    console.print("* the metric that the paper prints; ± one standard error over items", markup=False)
    _show_failed(console, found.failed)


def _show_failed(console: Console, failed: Iterable[FailedTask]) -> None:
    for each in failed:
        line = f"{each.task} {each.shots}-shot has no score: {each.reason}"
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _cells(score: TaskScore, metric: str, first: bool) -> Sequence[str]:
    found, primary = score.metrics[metric], metric == score.primary
    error = "" if found.stderr is None else f" ± {100 * found.stderr:.1f}"
    chance = f"{100 * score.chance:.1f}" if score.chance is not None and not metric.startswith(("f1", "exact")) else ""
    items = f"{score.items:,}" if score.items == score.available else f"{score.items:,} of {score.available:,}"
    of_task = (items, f"{score.cut:,}" if score.cut else "", notes_of(score)) if first else ("", "", "")
    named = (score.task, str(score.shots)) if first else ("", "")
    return (*named, metric + "*" * primary, f"{100 * found.value:.1f}{error}", chance, *of_task)


def notes_of(score: TaskScore) -> str:
    """What a reader must know beside the number."""
    constant = "always the same choice" if score.constant else ""
    return "; ".join(filter(None, (score.note, constant)))


def write_table(found: Downstream, path: Path) -> None:
    """Write a row a task and metric, shares from 0 to 1.

    Raises:
        OSError: the disk refuses.
    """
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(_rows(found))


def _rows(found: Downstream) -> Iterator[tuple[object, ...]]:
    for score in found.tasks:
        for metric, of in score.metrics.items():
            yield (
                score.task, score.shots, metric, of.value, of.stderr, score.chance, score.items, score.available,
                score.cut, notes_of(score),
            )  # fmt: skip
    yield from ((failed.task, failed.shots, *[""] * 7, failed.reason) for failed in found.failed)


def show_plan(console: Console, run: TrainingRun, planned: "Sequence[PlannedTask | FailedTask]") -> None:
    """Print what scoring a checkpoint would take, by task."""
    from aira_lib.architecture.cost import flops_per_token

    design, tasks = run.point.design, [task for task in planned if not isinstance(task, FailedTask)]
    each = flops_per_token(parse(design.pattern), design.scale) / 3
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for column in ("task", "shots", "items", "requests", "tokens", "time"):
        table.add_column(column, justify="left" if column == "task" else "right")
    for task in tasks:
        table.add_row(*_plan_cells(task.task, str(task.shots), task.items, task.requests, task.tokens, each))
    items, requests = sum(task.items for task in tasks), sum(task.requests for task in tasks)
    table.add_section()
    table.add_row(*_plan_cells("all", "", items, requests, sum(task.tokens for task in tasks), each))
    console.print(table)
    console.print(
        f"Tokens are those of all requests, of which some share their prompts; time by {CPU_FLOPS_PER_SECOND:.0e} "
        "FLOP/s, those of one core (estimated, not measured).",
        soft_wrap=True, markup=False, highlight=False,
    )  # fmt: skip
    _show_failed(console, (task for task in planned if isinstance(task, FailedTask)))


def _plan_cells(name: str, shots: str, items: int, requests: int, tokens: int, flops: float) -> Sequence[str]:
    numbers = (f"{number:,}" for number in (items, requests, tokens))
    return (name, shots, *numbers, duration(tokens * flops / CPU_FLOPS_PER_SECOND))
