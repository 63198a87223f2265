"""A new task folder from the template, complete and conforming: replace its data and metric step by step."""

import re
import shutil
from pathlib import Path
from typing import Literal

from aira_lib.tasks.airs.metadata import METADATA, TaskFolderError

_TEMPLATES = {
    kind: Path(__file__).parents[1] / name
    for kind, name in (("table", "task-template"), ("program", "program-template"))
}
_TEMPLATE_NAME = "TemplateTaskAccuracy"


def new_task_folder(path: str | Path, kind: Literal["table", "program"] = "table") -> Path:
    """Write a task folder whose name is the last part of the path.

    Args:
        path: The folder to make.
        kind: What is submitted: a table of predictions, or a program that is trained and asked for them.

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
    shutil.copytree(_TEMPLATES[kind], folder, ignore=shutil.ignore_patterns("__pycache__"))
    metadata = folder / METADATA
    metadata.write_text(metadata.read_text().replace(_TEMPLATE_NAME, folder.name))
    return folder
