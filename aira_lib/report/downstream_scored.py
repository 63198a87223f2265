"""What was scored: tasks with their splits, cut prompts and flags, what failed, and every score as a file."""

from collections import Counter
from collections.abc import Sequence

from aira_lib.records import TaskScore
from aira_lib.report.columns import Column, Row, Table
from aira_lib.report.downstream_tables import METRIC, NAMES
from aira_lib.report.inputs import Asked, DownstreamRun
from aira_lib.significance.flags import commonest_share, flags_of


def tasks_table(runs: Sequence[DownstreamRun]) -> Table:
    """Every task that was scored of some checkpoint: which items, of which split, and what its scores may hide."""
    asked = dict.fromkeys((task.task, task.shots) for run in runs for task in run.record.tasks)
    rows = [_task_row(each, runs) for each in sorted(asked, key=_place)]
    columns = [
        Column("task", "Task", style="name"),
        Column("shots", "Shots", spec="d"),
        Column("metric", "Metric", style="name"),
        Column("items", "Items", spec=",d"),
        Column("available", "Of", spec=",d"),
        Column("split", "Split", style="name"),
        Column("paper_split", "The paper's", style="name"),
        Column("chance", "Chance", "%", spec=".0f", per=0.01),
        Column("checkpoints", "Checkpoints", spec="d"),
        Column("cut", "Cut prompts", "most of a checkpoint", spec=",d"),
        Column("flags", "What to mind", style="text"),
        Column("data", "Data", shown=False),
    ]
    caption = (
        "What was scored. A prompt longer than the model's context loses its beginning. A task at chance (within two "
        "standard errors), or whose answer is always the same choice, tells nothing of a design."
    )
    return Table("downstream_tasks", caption, columns, rows)


def _place(asked: Asked) -> tuple[int, int, str]:
    names = list(NAMES)
    return asked[1], names.index(asked[0]) if asked[0] in names else len(names), asked[0]


def scores_of(asked: Asked, runs: Sequence[DownstreamRun]) -> list[tuple[TaskScore, DownstreamRun]]:
    """A task's score of every checkpoint that has it."""
    return [(task, run) for run in runs for task in run.record.tasks if (task.task, task.shots) == asked]


def _task_row(asked: Asked, runs: Sequence[DownstreamRun]) -> Row:
    found = scores_of(asked, runs)
    first = found[0][0]
    return {
        "task": NAMES.get(first.task, first.task),
        "shots": first.shots,
        "metric": METRIC.get(first.primary, first.primary),
        "items": min(task.items for task, _ in found),
        "available": first.available,
        "split": first.split,
        "paper_split": first.paper_split,
        "chance": first.chance,
        "checkpoints": len(found),
        "cut": max(task.cut for task, _ in found),
        "flags": "; ".join([*flag_words(found), *_other_split(first)]),
        "data": ", ".join(f"{name} {value}" for name, value in sorted(first.data.items())),
    }


def flag_words(found: Sequence[tuple[TaskScore, DownstreamRun]]) -> list[str]:
    """Flags of a task with the number of checkpoints that have each."""
    counted = Counter(flag for task, run in found for flag in _flags(task, run))
    return [f"{flag}: {count} of {len(found)}" for flag, count in counted.items()]


def _flags(task: TaskScore, run: DownstreamRun) -> tuple[str, ...]:
    measured = task.metrics[task.primary]
    items = run.items.get((task.task, task.shots))
    share = commonest_share(items.chosen) if items else 0.0
    return flags_of(measured.value, measured.stderr, task.chance, share, task.constant)


def _other_split(task: TaskScore) -> list[str]:
    return ["not the paper's split"] if task.split != task.paper_split else []


def note_sentences(runs: Sequence[DownstreamRun]) -> list[str]:
    """What must be said beside scores, tasks with the same words together, and words of the same tasks."""
    said: dict[str, dict[str, None]] = {}
    for run in runs:
        for task in run.record.tasks:
            for note in filter(None, task.note.split("; ")):
                said.setdefault(note, {})[f"{NAMES.get(task.task, task.task)} ({task.shots} shots)"] = None
    together: dict[str, list[str]] = {}
    for note, names in said.items():
        together.setdefault(", ".join(names), []).append(note)
    return [f"{names}: {'; '.join(notes)}." for names, notes in together.items()]


def failed_table(runs: Sequence[DownstreamRun]) -> Table:
    """Tasks that have no score of a checkpoint, and why; those of a checkpoint that diverged are not asked."""
    found: dict[tuple[str, int, str], list[str]] = {}
    for run in runs:
        for each in run.record.failed:
            found.setdefault((each.task, each.shots, each.reason), []).append(run.record.point.id)
    rows: list[Row] = [
        {
            "task": NAMES.get(task, task),
            "shots": shots,
            "reason": reason,
            "checkpoints": f"{len(points)} of {len(runs)}",
            "points": ", ".join(points),
        }
        for (task, shots, reason), points in found.items()
    ]
    columns = [
        Column("task", "Task", style="name"),
        Column("shots", "Shots", spec="d"),
        Column("checkpoints", "Checkpoints", style="name"),
        Column("reason", "Why it has no score", style="text"),
        Column("points", "Points", shown=False),
    ]
    return Table("downstream_failed", "Tasks without a score.", columns, rows)


def scores_table(runs: Sequence[DownstreamRun]) -> Table:
    """Every score of every checkpoint, at equal compute as well."""
    keys = (
        "point", "design", "protocol", "seed", "task", "shots", "metric", "primary", "value", "stderr", "split",
        "paper_split", "items", "available", "cut", "constant", "chance", "note",
    )  # fmt: skip
    rows = [row for run in runs for task in run.record.tasks for row in _score_rows(run, task)]
    return Table("downstream_scores", "Every score.", [Column(key, key, style="text") for key in keys], rows)


def _score_rows(run: DownstreamRun, task: TaskScore) -> list[Row]:
    point = run.record.point
    about: Row = {
        "point": point.id,
        "design": point.design.name,
        "protocol": point.protocol,
        "seed": point.seed,
        **task.model_dump(
            include={"task", "shots", "split", "paper_split", "items", "available", "cut", "constant", "chance", "note"}
        ),
    }
    return [
        {**about, "metric": metric, "primary": metric == task.primary, "value": m.value, "stderr": m.stderr}
        for metric, m in sorted(task.metrics.items())
    ]
