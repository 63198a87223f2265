"""scores.yaml: the scales that scores are normalised by, kept by the user.

What stands in the file is never changed by a run, or one bad run would move the normalised scores of all agents. The
scale of a task that is not in it yet is added, and everything else stays as it is, comments too.
"""

import re
from collections.abc import Mapping
from pathlib import Path

import yaml
from pydantic import Field, model_validator

from aira_lib.errors import UserError, writing
from aira_lib.scores.bands import bands_by_threshold
from aira_lib.section import Section
from aira_lib.study.reading import load_section

PINNED = "scores.yaml"


class PinnedTask(Section):
    """The scale of one task, in the units of its metric.

    `worst` is the score that is worth 0; `optimum` the best that there could be, by default 1, or 0 where lower is
    better; `examples` the number of those in the test split, which places a perfect score; `anchors` are published
    results by name, each worth 1, the first for means over tasks; `references` are scores of baselines by name.
    """

    worst: float | None = None
    optimum: float | None = None
    examples: int | None = Field(None, ge=1)
    anchors: dict[str, float] = Field({})
    references: dict[str, float] = Field({})


class Pinned(Section):
    """A whole file. `suite` is what its tasks are called together; `bands` are thresholds in the place of ranks."""

    suite: str = ""
    bands: tuple[float, ...] | None = None
    tasks: dict[str, PinnedTask] = Field({})

    @model_validator(mode="after")
    def _thresholds_fall(self) -> "Pinned":
        if self.bands is not None:
            bands_by_threshold({}, self.bands)
        return self

    def task(self, name: str) -> PinnedTask:
        """Of a task; all is left open where the file does not have it."""
        return self.tasks.get(name, PinnedTask())


def load_pinned(path: Path | None) -> Pinned:
    """Read a file of scales; an empty one where there is none yet.

    Raises:
        UserError: it cannot be read, or is wrong; one line.
    """
    if path is None or not path.exists():
        return Pinned()
    return load_section(path, Pinned, "file of pinned scales", "docs/scores.md")


def pin(path: Path, pinned: Pinned, worst: Mapping[str, float]) -> list[str]:
    """Write the worst scores of tasks that a file does not pin yet into it.

    Returns:
        What to say: of tasks that were pinned now, and of those that the file has without `worst`.

    Raises:
        UserError: the file cannot be written, or its `tasks` are written so that nothing can be added.
    """
    missing = {task: score for task, score in worst.items() if pinned.task(task).worst is None}
    new = {task: score for task, score in missing.items() if task not in pinned.tasks}
    said = [f"{path}: pinned the worst score of {task}, {score:.6g}" for task, score in new.items()]
    said += [
        f"{path}: {task} has no `worst`; add `worst: {score:.6g}` to pin it"
        for task, score in missing.items() if task not in new
    ]  # fmt: skip
    if new:
        _add(path, pinned, new)
    return said


def _add(path: Path, pinned: Pinned, new: Mapping[str, float]) -> None:
    text = path.read_text(encoding="utf-8") if path.exists() else _HEAD
    lines = "".join(f"  {_key(task)}:\n    worst: {score!r}\n" for task, score in new.items())
    if not re.search(r"^tasks:", text, flags=re.MULTILINE):
        text = f"{text.rstrip()}\ntasks:\n" if text.strip() else "tasks:\n"
    added = re.sub(r"^tasks:[ \t]*(#.*)?(\n|\Z)", lambda found: found[0].rstrip("\n") + "\n" + lines, text, count=1,
                   flags=re.MULTILINE)  # fmt: skip
    expected = {**pinned.tasks, **{task: PinnedTask(worst=score) for task, score in new.items()}}
    if _tasks_in(added) != expected:
        told = ", ".join(f"{task}: {{worst: {score:.6g}}}" for task, score in new.items())
        raise UserError(f"{path}: nothing can be added to its tasks as they are written; add {told}")
    with writing(path):
        path.write_text(added, encoding="utf-8")


_HEAD = "# Scales of `aira scores` (docs/scores.md). What stands here stays; what is new is added.\ntasks:\n"


def _tasks_in(text: str) -> dict[str, PinnedTask] | None:
    try:
        return Pinned.model_validate(yaml.safe_load(text)).tasks
    except (yaml.YAMLError, ValueError):
        return None


def _key(task: str) -> str:
    """A task's name as a key of YAML."""
    return yaml.safe_dump(task, width=1_000).removesuffix("\n").removesuffix("\n...")
