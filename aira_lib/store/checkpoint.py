"""Checkpoints in a record's workspace: ``checkpoints/step_00000100/`` with ``state.pt`` and, last, a manifest.

A checkpoint without a manifest, or whose bytes do not match it, does not exist. States are written in a canonical
form, so that a run that was interrupted and resumed ends with the same bytes as one that was not.
"""

import json
import logging
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from aira_lib.records import FileEntry
from aira_lib.store.base import MANIFEST
from aira_lib.store.files import disk_errors, file_entry, replacing, write_file

FOLDER = "checkpoints"
STATE = "state.pt"
_log = logging.getLogger(__name__)


def save(workspace: Path, push: Callable[[str], None], step: int, state: dict[str, Any], keep: int = 2) -> Path:
    """Write the checkpoint of a step, push it, then remove all but the newest `keep`.

    Checkpoints of later steps are removed too: they are what could not be resumed from.

    Args:
        workspace: the record's workspace (`RecordFolder.workspace`).
        push: makes the store's copy of a file equal to the workspace's, removal included (`RecordFolder.push`).
        step: number of finished training steps.
        state: dictionaries, lists and tuples of tensors, strings and numbers.
        keep: how many checkpoints stay.

    Returns:
        The checkpoint's folder.

    Raises:
        StoreError: disk or store refuse.
        TypeError: the state holds something that is not plain data.
    """
    folder = workspace / FOLDER / f"step_{step:08d}"
    if (folder / MANIFEST).exists():
        _drop(workspace, push, step)
    _write_state(folder / STATE, state)
    push(f"{FOLDER}/{folder.name}/{STATE}")
    manifest = {"step": step, "files": [file_entry(folder / STATE, STATE).model_dump()]}
    write_file(folder / MANIFEST, (json.dumps(manifest) + "\n").encode())
    push(f"{FOLDER}/{folder.name}/{MANIFEST}")
    for other in _steps(workspace):
        if other > step:
            _drop(workspace, push, other)
    prune(workspace, push, keep)
    return folder


def latest(workspace: Path) -> tuple[int, dict[str, Any]] | None:
    """Load the newest checkpoint that is whole, on the CPU: (step, state), or None when there is none."""
    import torch

    for step in reversed(_steps(workspace)):
        folder = workspace / FOLDER / f"step_{step:08d}"
        if not (folder / MANIFEST).exists():
            continue  # its save was cut short
        problem = _problem(folder)
        if problem is None:
            return step, torch.load(folder / STATE, map_location="cpu", weights_only=True)
        _log.warning("%s: %s; the checkpoint before it is used", folder, problem)
    return None


def prune(workspace: Path, push: Callable[[str], None], keep: int = 1) -> None:
    """Remove all checkpoints but the newest `keep` (1 or more) finished ones, in the workspace and in the store.

    Raises:
        StoreError: disk or store refuse.
    """
    steps = _steps(workspace)
    whole = [step for step in steps if (workspace / FOLDER / f"step_{step:08d}" / MANIFEST).exists()]
    for step in steps:
        if step not in whole[-keep:]:
            _drop(workspace, push, step)


def _steps(workspace: Path) -> list[int]:
    names = (path.name for path in (workspace / FOLDER).glob("step_*"))
    return sorted(int(match[1]) for name in names if (match := re.fullmatch(r"step_(\d{8,})", name)))


def _drop(workspace: Path, push: Callable[[str], None], step: int) -> None:
    """Remove a checkpoint, its manifest first: what is left after a crash is not taken for a checkpoint."""
    folder = workspace / FOLDER / f"step_{step:08d}"
    for name in (MANIFEST, STATE):
        with disk_errors(folder):
            (folder / name).unlink(missing_ok=True)
        push(f"{FOLDER}/{folder.name}/{name}")
    with disk_errors(folder):
        shutil.rmtree(folder, ignore_errors=True)


def _problem(folder: Path) -> str | None:
    """Say why a checkpoint cannot be used, or None."""
    try:
        manifest = json.loads((folder / MANIFEST).read_bytes())
        entry = FileEntry.model_validate(manifest["files"][0])
        return None if file_entry(folder / STATE, STATE) == entry else f"{STATE} differs from its manifest"
    except FileNotFoundError as error:
        return f"{Path(error.filename).name} is missing"
    except (ValueError, LookupError, TypeError, ValidationError):
        return "its manifest is damaged"


def _write_state(path: Path, state: dict[str, Any]) -> None:
    import torch

    with replacing(path) as handle:
        try:
            torch.save(_plain(state, "state"), handle)
        except RuntimeError as error:
            if isinstance(error.__context__, OSError):  # torch hides a full disk behind "unexpected pos"
                raise error.__context__ from None
            raise


def _plain(value: Any, place: str) -> Any:
    """Copy a state without what a run's history leaves in it: shared strings, autograd, devices, views of buffers.

    Pickle writes an object that it meets twice as a reference, so equal states would give different bytes.
    """
    import torch

    match value:
        case torch.Tensor():
            tensor = value.detach().cpu()
            whole = tensor.untyped_storage().nbytes() == tensor.numel() * tensor.element_size()
            return tensor if whole else tensor.clone()
        case dict():
            return {_plain(key, place): _plain(each, f"{place}[{key!r}]") for key, each in value.items()}
        case list():
            return [_plain(each, f"{place}[{i}]") for i, each in enumerate(value)]
        case tuple():
            return tuple(_plain(each, f"{place}[{i}]") for i, each in enumerate(value))
        case str():
            return sys.intern(str(value))
        case bool() | None:
            return value
        case int():
            return int(value)
        case float():
            return float(value)
    raise TypeError(f"{place} is a {type(value).__name__}: a checkpoint holds tensors, strings, numbers and None")
