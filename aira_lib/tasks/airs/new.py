"""A new task folder from the template, complete and conforming: replace its data and metric step by step."""

import re
import shutil
from pathlib import Path

from aira_lib.tasks.airs.metadata import METADATA, TaskFolderError

_TEMPLATE = Path(__file__).parents[1] / "task-template"
_TEMPLATE_NAME = "TemplateTaskAccuracy"


def new_task_folder(path: str | Path) -> Path:
    """Write a task folder whose name is the last part of the path.

    Raises:
        TaskFolderError: the name is not CamelCase letters and digits, or something is there already.
    """
    folder = Path(path)
    if not re.fullmatch(r"[A-Z][A-Za-z0-9]*", folder.name):
        raise TaskFolderError(
            f"{path}: a task is named by problem, data set and metric in CamelCase, such as TextSimilaritySickSpearman"
        )
    if folder.exists():
        raise TaskFolderError(f"{path}: exists already; choose another name")
    shutil.copytree(_TEMPLATE, folder, ignore=shutil.ignore_patterns("__pycache__"))
    metadata = folder / METADATA
    metadata.write_text(metadata.read_text().replace(_TEMPLATE_NAME, folder.name))
    return folder
