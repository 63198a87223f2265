"""The scores of a model card: on held-out text, and on downstream tasks as tables and as model hubs read them."""

from collections.abc import Iterator
from typing import Any

from aira_lib.foreign import in_a_line
from aira_lib.records import Downstream, Measured, Score, TaskScore

_NAMES = {"acc": "accuracy", "acc_norm": "accuracy, by length", "f1": "F1", "exact": "exact match"}


def score_lines(score: Score | None, downstream: Downstream | None) -> list[str]:
    """Markdown of all scores; a line that says so where there are none."""
    lines = [*_held_out(score)]
    if downstream:
        lines += [*([""] if lines else []), *_tasks(downstream)]
    return lines or ["It was not scored."]


def results_of(downstream: Downstream) -> list[dict[str, Any]]:
    """The downstream scores in the form of `model-index`, in percent; every metric of every task."""
    return [
        {
            "task": {"type": "text-generation"},
            "dataset": {
                "name": f"{each.task} ({each.shots}-shot, {_items(each)})",
                "type": each.task,
                "split": each.split,
            },
            "metrics": [_metric(name, measured) for name, measured in each.metrics.items()],
        }
        for each in downstream.tasks
    ]


def _metric(name: str, measured: Measured) -> dict[str, Any]:
    return {"type": name, "name": _NAMES.get(name, name), "value": round(100 * measured.value, 2)}


def _held_out(score: Score | None) -> Iterator[str]:
    if score is None:
        return
    if score.loss is None:
        yield "On held-out text it has no finite loss: the training diverged."
        return
    error = f" ± {score.loss_stderr:.4f}" if score.loss_stderr is not None else ""
    documents = f" of {len(score.document_tokens):,} documents" if score.document_tokens else ""
    bits = f", {score.bits_per_byte:.4f} bits a byte" if score.bits_per_byte is not None else ""
    yield f"Held-out text: **{score.loss:.4f}{error}** nats a token{bits}, on {score.tokens:,} tokens{documents}."
    if error:
        yield "The error is the standard error over documents."


def _tasks(downstream: Downstream) -> Iterator[str]:
    if downstream.status == "diverged":
        yield "The training diverged, and no task was scored."
        return
    yield "Percent, ± the standard error over items; tasks are those of lm-evaluation-harness."
    if downstream.limit:
        yield f"Not all items: of each task {downstream.limit:,} at most, drawn by the seed {downstream.seed}."
    yield from ("", "| task | shots | split | metric | score | chance | items | remarks |", "| --- " * 8 + "|")
    for each in downstream.tasks:
        for metric, measured in each.metrics.items():
            yield _row(each, metric, measured)
    for failed in downstream.failed:
        yield f"| {failed.task} | {failed.shots} | | | failed | | | {cell(failed.reason)} |"


def _row(task: TaskScore, metric: str, measured: Measured) -> str:
    chance = f"{100 * task.chance:.1f}" if task.chance is not None and metric == task.primary else ""
    error = f" ± {100 * measured.stderr:.1f}" if measured.stderr is not None else ""
    value = f"{100 * measured.value:.1f}{error}"
    shown = f"**{value}**" if metric == task.primary else value
    remarks = "; ".join(_remarks(task)) if metric == task.primary else ""
    cells = (task.task, task.shots, task.split, _NAMES.get(metric, metric), shown, chance, _items(task), cell(remarks))
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def _items(task: TaskScore) -> str:
    return f"{task.items:,} items" if task.items == task.available else f"{task.items:,} of {task.available:,} items"


def _remarks(task: TaskScore) -> Iterator[str]:
    if task.split != task.paper_split:
        yield f"the AIRA paper scores {task.paper_split}"
    if task.cut:
        yield f"{task.cut:,} prompts were longer than the context and lost their beginning"
    if task.constant:
        yield "the answer never varies"
    if task.note:
        yield task.note


def cell(value: object) -> str:
    """What stands in a cell of a Markdown table."""
    return in_a_line(str(value)).replace("|", "\\|")
