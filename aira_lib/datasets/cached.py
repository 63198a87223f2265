"""A cache by content: what a key stands for is made once, whole or not at all.

A key is a digest of all that determines the files (settings, contents of sources, the code that makes them). The files
lie in a folder of that name below the scratch folder, with a manifest that is written last and has their digests; what
was damaged is made anew. Processes that want the same wait for the one that makes it.
"""

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import ValidationError

from aira_lib.contents import file_digest
from aira_lib.errors import UserError
from aira_lib.records import FileEntry
from aira_lib.records.row import Row, read_row
from aira_lib.settings import scratch_folder
from aira_lib.store.files import disk_errors, file_entry, make_folder, sync_file, write_file

_FILES = "files.json"


class _Files(Row):
    """The files of a folder, and what they held when they were made."""

    files: tuple[FileEntry, ...]


def cached_folder(kind: str, key: str, make: Callable[[Path], None]) -> Path:
    """The folder of a key, made if it is not there whole.

    Args:
        kind: of what is kept: the name of a folder below the scratch folder.
        key: a digest, as hexadecimal digits.
        make: writes files into the empty folder that it is given.

    Raises:
        StoreError: the disk refuses.
        UserError: what `make` raises.
    """
    root = scratch_folder() / kind
    place = root / key
    if _whole(place):
        return place
    make_folder(root)
    with disk_errors(root), _alone(root / f".{key}.lock"):
        if not _whole(place):
            part = root / f".{key}.part"
            for old in (part, place):
                shutil.rmtree(old, ignore_errors=True)
            part.mkdir()
            try:
                make(part)
                _seal(part)
                os.replace(part, place)
            finally:
                shutil.rmtree(part, ignore_errors=True)
    return place


def _seal(folder: Path) -> None:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    for path in paths:
        sync_file(path)
    entries = tuple(file_entry(path, path.relative_to(folder).as_posix()) for path in paths)
    write_file(folder / _FILES, _Files(files=entries).json_line().encode())


def _whole(folder: Path) -> bool:
    """Whether all files are there as they were made; large ones are read again only when the disk says they changed."""
    try:
        files = read_row(folder / _FILES, _Files).files
        return all(file_digest(folder / each.name) == each.sha256 for each in files)
    except (OSError, UserError, ValidationError):
        return False


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """One process at a time inside the block."""
    with lock.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
