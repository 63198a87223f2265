"""A folder of submitted programs to change, what a study says of it, and its key."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from aira_lib.sandbox import closes_files, isolation
from aira_lib.study import ProxySection, TaskSection
from aira_lib.tasks.airs import new_task_folder
from aira_lib.tasks.section import family_of

NAME = "RingsMadeAccuracy"
SHOWN = pytest.mark.skipif(not closes_files(isolation()), reason="where files are open, nothing is opened")


def rings(where: Path, **changes: Any) -> Path:
    """The template; keyword arguments are keys of program.yaml, None takes one away."""
    folder = new_task_folder(where / NAME, "program")
    path = folder / "program.yaml"
    said = yaml.safe_load(path.read_text()) | changes
    path.write_text(yaml.safe_dump({key: value for key, value in said.items() if value is not None}))
    return folder


def task(folder: Path, **fields: Any) -> TaskSection:
    return TaskSection(folder=str(folder), **fields)


def key(folder: Path) -> str:
    return json.dumps(family_of(task(folder)).identity(task(folder), ProxySection()), sort_keys=True)
