"""A small task folder of the real format, made anew by each test and spoilt as it needs."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from aira_lib.tasks.airs import new_task_folder

NAME = "ParityMadeAccuracy"
DEEP = "logging_info"


def made_folder(where: Path, **changes: str) -> Path:
    """The template as a task; keyword arguments replace whole files (`evaluate="..."` for evaluate.py)."""
    folder = new_task_folder(where / NAME)
    for stem, text in changes.items():
        (folder / f"{stem}.py").write_text(text)
    return folder


def change_metadata(folder: Path, changes: Mapping[str, Any]) -> None:
    """Set keys of metadata.yaml ("logging_info.shape" for inner ones); None of `...` deletes a key."""
    path = folder / "metadata.yaml"
    data = yaml.safe_load(path.read_text())
    for key, value in changes.items():
        section, _, name = key.rpartition(".")
        target = data[section] if section else data
        if value is ...:
            del target[name]
        else:
            target[name] = value
    path.write_text(yaml.safe_dump(data, sort_keys=False))


def replace_in(path: Path, old: str, new: str) -> None:
    """Replace a piece of a file that must be there."""
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
