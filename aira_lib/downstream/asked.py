"""What a checkpoint is asked: tasks, shots, and the items that are here; known, and refused, before any model is."""

from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from aira_lib.downstream.data import PACKAGE_FOLDER, task_data
from aira_lib.downstream.placed import data_here
from aira_lib.downstream.tables import SETS, TASKS, tasks_named
from aira_lib.errors import MissingDependency, StoreError, UserError
from aira_lib.identity import computes, versions_of
from aira_lib.study import DownstreamSection


def scores_identity(section: DownstreamSection) -> dict[str, Any]:
    """What determines the scores of a given checkpoint, for keys of records: what is asked, and what answers.

    Raises:
        UserError: see `_asked`.
    """
    return {"downstream": _asked(section), "code": versions_of("models", "downstream"), "computes": computes()}


def _asked(section: DownstreamSection) -> dict[str, Any]:
    """Tasks, shots and items.

    Each task counts by what its items say, wherever their file lies and whatever form it has; one without data counts
    as such: with data there will be another record.

    Raises:
        UserError: there is no such task, or the store with the data refuses.
    """
    folder = data_here(section.data)
    tasks = [[task.name, shots, *_known(task.name, folder)] for task, shots in tasks_named(section.tasks)]
    limit = {} if section.limit is None else {"limit": section.limit}
    return {"tasks": tasks, "seed": section.seed, **limit}


def check_asked(section: DownstreamSection) -> None:
    """Refuse tasks that cannot be asked here: unknown ones, and those without data. Of a set, some may lack data.

    Raises:
        UserError: one line for the first of them.
        MissingDependency: lm-eval is not installed.
    """
    tasks = [task for task, _ in tasks_named(section.tasks)]
    if find_spec("lm_eval") is None:
        raise MissingDependency("scoring downstream tasks", "eval")
    folder, problems = data_here(section.data), dict[str, UserError]()
    for task in tasks:
        try:
            task_data(task, folder)
        except UserError as error:
            problems[task.name] = error
    alone = [name.partition(":")[0] for name in section.tasks if name not in SETS]
    wrong = next((name for name in alone if name in problems), None)
    if wrong or len(problems) == len({task.name for task in tasks}):
        raise problems[wrong or tasks[0].name]


def _known(task: str, folder: Path) -> tuple[str, str] | tuple[None, None]:
    return _read(task, folder, tuple(_stamps(folder / task, folder / PACKAGE_FOLDER)))


def _stamps(*folders: Path) -> Iterator[tuple[str, int, int]]:
    """What changes when a file of these folders does; a link to nowhere is no file."""
    for path in sorted(path for folder in folders for path in folder.glob("*")):
        with suppress(FileNotFoundError):
            status = path.stat()
            yield str(path), status.st_size, status.st_mtime_ns


@cache
def _read(task: str, folder: Path, stamps: tuple[Any, ...]) -> tuple[str, str] | tuple[None, None]:
    """Split and digest of a task's items; nothing where there are none that can be read."""
    try:
        data = task_data(TASKS[task], folder)
    except StoreError:
        raise
    except UserError:
        return None, None
    return data.split, data.source["sha256"]
