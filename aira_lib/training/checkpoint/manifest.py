"""The manifest of a checkpoint, where checkpoints lie, and whether their files are what the manifest says."""

import hashlib
import json
import re
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from pydantic import Field, ValidationError

from aira_lib.records import FileEntry, Row
from aira_lib.store.base import MANIFEST
from aira_lib.store.files import disk_errors, file_entry

FOLDER = "checkpoints"
METADATA = ".metadata"
"""What torch.distributed.checkpoint calls the file that says what lies where in the others."""
_FILE_OF_RANKS = re.compile(rf"__\d+_\d+\.distcp|{re.escape(METADATA)}")


class PartFile(FileEntry):
    """A file of a checkpoint; its name is relative to the checkpoint's folder."""

    part: str


class CheckpointManifest(Row):
    """What a checkpoint consists of. Written last.

    `beside` are files of the workspace, such as the loss curve, without which it is of no use, as they were when it was
    saved: they only grow, so it is their first bytes that stay. Those written before this field have none.
    """

    step: int
    files: tuple[PartFile, ...] = Field(min_length=1)
    beside: tuple[FileEntry, ...] = ()

    def json_line(self) -> str:
        """See `Row`; without `beside` where there are none, as in manifests that are older than it."""
        return json.dumps(self.model_dump(mode="json", exclude_defaults=True), ensure_ascii=False) + "\n"


class Unusable(Exception):
    """Why a checkpoint cannot be used, in words."""


def folder_of(workspace: Path, step: int) -> Path:
    """Where the checkpoint of a step lies."""
    return workspace / FOLDER / f"step_{step:08d}"


def steps_in(workspace: Path) -> list[int]:
    """The steps of which there is a folder, whole or not, in rising order."""
    names = (path.name for path in (workspace / FOLDER).glob("step_*"))
    return sorted(int(match[1]) for name in names if (match := re.fullmatch(r"step_(\d{8,})", name)))


def finished_steps(workspace: Path) -> list[int]:
    """The steps whose checkpoint has a manifest, in rising order."""
    return [step for step in steps_in(workspace) if (folder_of(workspace, step) / MANIFEST).exists()]


def name_in_store(folder: Path, name: str) -> str:
    """What a file of a checkpoint is called in the workspace, as `aira_lib.store.Attempt.push` takes it."""
    return f"{FOLDER}/{folder.name}/{name}"


def shard_name(part: str, number: int, count: int) -> str:
    """The file of one of `count` shards that one process wrote."""
    return f"{part}.{number:05d}-of-{count:05d}.pt"


def is_of_ranks(files: Iterable[str]) -> bool:
    """Whether a part's files were written by torch.distributed.checkpoint."""
    return any("/" in name for name in files)


def listed_files(folder: Path, step: int, parts: Collection[str] | None) -> dict[str, list[PartFile]]:
    """The files of each wanted part, as the manifest lists them; None: of all parts. They are not opened.

    Raises:
        Unusable: the manifest is damaged, that of another step, or lacks a part.
    """
    try:
        written = (folder / MANIFEST).read_bytes()
        manifest = CheckpointManifest.model_validate_json(written)
    except (ValidationError, UnicodeDecodeError):
        raise Unusable(f"{MANIFEST} is damaged") from None
    if manifest.json_line().encode() != written:  # a flipped byte may still be JSON of the same meaning
        raise Unusable(f"{MANIFEST} is damaged")
    by_part: dict[str, list[PartFile]] = {}
    for file in manifest.files:
        by_part.setdefault(file.part, []).append(file)
    for part, files in by_part.items():
        _check_names(part, [file.name for file in files])
    if manifest.step != step:
        raise Unusable(f"{MANIFEST} is that of step {manifest.step}")
    wanted = by_part if parts is None else parts
    for part in wanted:
        if part not in by_part:
            raise Unusable(f"it has no part {part!r}")
    return {part: by_part[part] for part in wanted}


def _check_names(part: str, names: list[str]) -> None:
    if is_of_ranks(names):
        inside = [name.removeprefix(f"{part}/") for name in names]
        right = METADATA in inside and all(_FILE_OF_RANKS.fullmatch(name) for name in inside)
    else:
        right = names == [shard_name(part, number, len(names)) for number in range(len(names))]
    if not right:
        raise Unusable(f"{MANIFEST} is damaged: it does not name all files of {part!r}")


def verify(folder: Path, files: Iterable[PartFile]) -> None:
    """Compare files with what the manifest says of them.

    Raises:
        Unusable: one is missing, cannot be read, or differs; the text names it.
    """
    for file in files:
        try:
            size = (folder / file.name).stat().st_size
            found = file_entry(folder / file.name, file.name) if size == file.bytes else None
        except (FileNotFoundError, NotADirectoryError):
            raise Unusable(f"{file.name}, which {MANIFEST} lists, is missing") from None
        except OSError as error:
            raise Unusable(f"{file.name} cannot be read ({error.strerror})") from None
        if found is None or found.sha256 != file.sha256:
            raise Unusable(f"{file.name} differs from what {MANIFEST} says")


def measured_beside(workspace: Path, names: Iterable[str]) -> list[FileEntry]:
    """What files of a workspace are at this moment, for `CheckpointManifest.beside`.

    Raises:
        StoreError: the disk refuses.
    """
    with disk_errors(workspace):
        return [file_entry(workspace / name, name) for name in names]


def verify_beside(workspace: Path, step: int, names: Collection[str]) -> None:
    """Compare files of a workspace with what a checkpoint's manifest, which is whole, says of their beginnings.

    Raises:
        Unusable: one is missing, cannot be read, is shorter or differs; the text names it.
    """
    manifest = CheckpointManifest.model_validate_json((folder_of(workspace, step) / MANIFEST).read_bytes())
    for file in (file for file in manifest.beside if file.name in names):
        try:
            with (workspace / file.name).open("rb") as handle:
                begin = handle.read(file.bytes)
        except FileNotFoundError:
            raise Unusable(f"{file.name} beside it is missing") from None
        except OSError as error:
            raise Unusable(f"{file.name} beside it cannot be read ({error.strerror})") from None
        if len(begin) < file.bytes:
            raise Unusable(f"{file.name} beside it has {len(begin):,} bytes of {file.bytes:,}")
        if hashlib.sha256(begin).hexdigest() != file.sha256:
            raise Unusable(f"{file.name} beside it differs from what {MANIFEST} says")


def names_by_part(files: Mapping[str, Iterable[PartFile]]) -> dict[str, list[str]]:
    """The names of each part's files, in the order of the manifest."""
    return {part: [file.name for file in each] for part, each in files.items()}
