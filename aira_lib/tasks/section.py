"""The task that a study names: a Compose task by its name, or any AIRS-Bench task folder by its path."""

from dataclasses import replace
from pathlib import Path

from aira_lib.spec import TaskSection
from aira_lib.tasks.airs.folder import BUILT_IN, TaskFolder, load_task_folder
from aira_lib.tasks.airs.metadata import TaskFolderError
from aira_lib.tasks.task import SearchTask, task_named


def task_of(section: TaskSection) -> SearchTask:
    """What is searched, among the section's primitives if it names any; the task of a folder has none.

    Raises:
        UserError: there is no such task, or the folder is none.
    """
    if section.folder is None:
        task = task_named(section.name)
        return replace(task, primitives=section.primitives) if section.primitives else task
    found = folder_of(section.folder)
    return SearchTask(found.name, (), metric=found.metric, lower_is_better=found.metadata.metric_lower_is_better)


def folder_of(path: str | Path) -> TaskFolder:
    """The task folder that a study names.

    Raises:
        TaskFolderError: it is none, or it is built in: those are searched by name, with the study's own proxy.
    """
    found = load_task_folder(path)
    if found.path.parent == BUILT_IN:
        raise TaskFolderError(f"{path}: a built-in task; name it instead, as in `task: {{name: {found.name}}}`")
    return found
