"""Checkpoints in a record's workspace: ``checkpoints/step_00000100/`` with a file a shard and, last, a manifest.

A state has named parts, such as `model` and `optimizer`, each a dictionary. A part lies in one file or in several
shards, each with some of its keys: ``model.00000-of-00002.pt``. The manifest names every file with its part, size and
SHA-256, so that a reader who wants the weights alone reads, and hashes, no optimizer state.

A checkpoint without a manifest, or of which a wanted file does not match it, does not exist. States are written in a
canonical form, so that a run that was interrupted and resumed ends with the same bytes as one that was not.
"""

import logging
import re
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from aira_lib.records import FileEntry, Row
from aira_lib.store.base import MANIFEST, is_temporary
from aira_lib.store.files import disk_errors, file_entry, replacing, write_file

FOLDER = "checkpoints"
_log = logging.getLogger(__name__)

Part = dict[str, Any]
"""Dictionaries, lists and tuples of tensors, strings and numbers."""
Shards = Sequence[Part]
"""A part in one or more pieces, which have no key in common."""


class PartFile(FileEntry):
    """A file of a checkpoint: one shard of a part."""

    part: str


class CheckpointManifest(Row):
    """What a checkpoint consists of. Written last."""

    step: int
    files: tuple[PartFile, ...] = Field(min_length=1)


class _Unusable(Exception):
    """Why a checkpoint cannot be used, in words."""


def save(workspace: Path, push: Callable[[str], None], step: int, state: Mapping[str, Shards], keep: int = 2) -> Path:
    """Write the checkpoint of a step, push it, then remove all but the newest `keep`.

    Checkpoints of later steps are removed too: they are what could not be resumed from.

    Args:
        workspace: the record's workspace (`aira_lib.store.Attempt.path`).
        push: makes the store's copy of a file equal to the workspace's, removal included (`Attempt.push`).
        step: number of finished training steps.
        state: the shards of each part.
        keep: how many checkpoints stay.

    Returns:
        The checkpoint's folder.

    Raises:
        StoreError: disk or store refuse.
        TypeError: the state holds something that is not plain data.
        ValueError: there is no part, or one has an odd name, no shard, or a key in two of them.
    """
    _check(state)
    folder = _folder(workspace, step)
    if folder.exists():
        _drop(workspace, push, step)
    files = [
        _write_shard(folder, part, at, len(shards), push) for part, shards in state.items() for at in enumerate(shards)
    ]
    write_file(folder / MANIFEST, CheckpointManifest(step=step, files=tuple(files)).json_line().encode())
    push(f"{FOLDER}/{folder.name}/{MANIFEST}")
    for other in _steps(workspace):
        if other > step:
            _drop(workspace, push, other)
    prune(workspace, push, keep)
    return folder


def latest(workspace: Path, parts: Collection[str] | None = None) -> tuple[int, dict[str, Part]] | None:
    """Load the newest checkpoint that is whole, on the CPU, each part's shards put together.

    Args:
        workspace: the folder that holds the checkpoints.
        parts: which to read; the files of others may be damaged or missing. None: all.

    Returns:
        (step, state by part), or None when there is none.
    """
    for step in reversed(_steps(workspace)):
        folder = _folder(workspace, step)
        if not (folder / MANIFEST).exists():
            continue  # its save was cut short
        try:
            files = _whole_files(folder, step, parts)
        except _Unusable as problem:
            _log.warning("%s: %s; the checkpoint before it is used", folder, problem)
        else:
            return step, {part: _read(folder, shards) for part, shards in files.items()}
    return None


def prune(workspace: Path, push: Callable[[str], None], keep: int = 1) -> None:
    """Remove all checkpoints but the newest `keep` (1 or more) finished ones, in the workspace and in the store.

    Raises:
        StoreError: disk or store refuse.
    """
    steps = _steps(workspace)
    whole = [step for step in steps if (_folder(workspace, step) / MANIFEST).exists()]
    for step in steps:
        if step not in whole[-keep:]:
            _drop(workspace, push, step)


def _folder(workspace: Path, step: int) -> Path:
    return workspace / FOLDER / f"step_{step:08d}"


def _steps(workspace: Path) -> list[int]:
    names = (path.name for path in (workspace / FOLDER).glob("step_*"))
    return sorted(int(match[1]) for name in names if (match := re.fullmatch(r"step_(\d{8,})", name)))


def _drop(workspace: Path, push: Callable[[str], None], step: int) -> None:
    """Remove a checkpoint, its manifest first: what is left after a crash is not taken for a checkpoint."""
    folder = _folder(workspace, step)
    with disk_errors(folder):
        names = sorted(path.name for path in folder.iterdir() if not is_temporary(path.name))
    for name in (MANIFEST, *(name for name in names if name != MANIFEST)):
        with disk_errors(folder):
            (folder / name).unlink(missing_ok=True)
        push(f"{FOLDER}/{folder.name}/{name}")
    with disk_errors(folder):
        shutil.rmtree(folder, ignore_errors=True)


# --- writing ---------------------------------------------------------------------------------------------------------


def _check(state: Mapping[str, Shards]) -> None:
    if not state:
        raise ValueError("a checkpoint needs a part")
    for part, shards in state.items():
        if not re.fullmatch(r"[a-z][a-z0-9_-]*", part):
            raise ValueError(f"a part of a checkpoint cannot be called {part!r}: it names files")
        if not shards:
            raise ValueError(f"part {part!r} of a checkpoint has no shard")
        twice = [key for key, times in Counter(key for shard in shards for key in shard).items() if times > 1]
        if twice:
            raise ValueError(f"part {part!r} of a checkpoint has {twice[0]!r} in two shards")


def _name(part: str, number: int, count: int) -> str:
    return f"{part}.{number:05d}-of-{count:05d}.pt"


def _write_shard(folder: Path, part: str, shard: tuple[int, Part], count: int, push: Callable[[str], None]) -> PartFile:
    """Write and push one file, whole or not at all."""
    import torch

    number, state = shard
    name = _name(part, number, count)
    with replacing(folder / name) as handle:
        try:
            torch.save(_plain(state, part), handle)
        except RuntimeError as error:
            if isinstance(error.__context__, OSError):  # torch hides a full disk behind "unexpected pos"
                raise error.__context__ from None
            raise
    push(f"{FOLDER}/{folder.name}/{name}")
    return PartFile(**file_entry(folder / name, name).model_dump(), part=part)


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


# --- reading ---------------------------------------------------------------------------------------------------------


def _whole_files(folder: Path, step: int, parts: Collection[str] | None) -> dict[str, list[str]]:
    """The names of the files of each wanted part, in the order of its shards; all of them match the manifest.

    Raises:
        _Unusable: they do not, or the manifest is damaged.
    """
    try:
        manifest = CheckpointManifest.model_validate_json((folder / MANIFEST).read_bytes())
    except ValidationError:
        raise _Unusable("its manifest is damaged") from None
    by_part: dict[str, list[PartFile]] = {}
    for file in manifest.files:
        by_part.setdefault(file.part, []).append(file)
    for part, files in by_part.items():
        if [file.name for file in files] != [_name(part, number, len(files)) for number in range(len(files))]:
            raise _Unusable(f"its manifest is damaged: it does not name all files of {part!r}")
    if manifest.step != step:
        raise _Unusable(f"its manifest is that of step {manifest.step}")
    for part in by_part if parts is None else parts:
        if part not in by_part:
            raise _Unusable(f"it has no part {part!r}")
        for file in by_part[part]:
            _verify(folder, file)
    return {part: [file.name for file in by_part[part]] for part in (by_part if parts is None else parts)}


def _verify(folder: Path, file: PartFile) -> None:
    try:
        size = (folder / file.name).stat().st_size
        found = file_entry(folder / file.name, file.name) if size == file.bytes else None
    except FileNotFoundError:
        raise _Unusable(f"{file.name} is missing") from None
    if found is None or found.sha256 != file.sha256:
        raise _Unusable(f"{file.name} differs from its manifest")


def _read(folder: Path, names: Sequence[str]) -> Part:
    import torch

    whole: Part = {}
    for name in names:
        whole |= torch.load(folder / name, map_location="cpu", weights_only=True)
    return whole
