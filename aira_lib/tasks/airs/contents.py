"""What a search in a task folder depends on: the folder's files and the raw data, by their contents."""

import hashlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

from aira_lib.errors import UserError
from aira_lib.settings import task_data_folder
from aira_lib.tasks.airs.folder import TaskFolder

_SETTLED_NS = 2 * 10**9
"""A file that was changed later than this ago may change again without another time of change."""

_known: dict[tuple[str | int, ...], str] = {}


def folder_digest(folder: TaskFolder) -> str:
    """SHA-256 (hex) of the names and contents of all files: what a search in it depends on, wherever it lies.

    Raises:
        UserError: a file cannot be read.
    """
    return _digest(folder.path)


def raw_data() -> Path | None:
    """The folder of raw data sets (AIRA_TASK_DATA), None where none is named.

    Raises:
        UserError: it is no folder.
    """
    folder = task_data_folder()
    if folder is not None and not folder.is_dir():
        raise UserError(f"{folder}: no such folder; AIRA_TASK_DATA must name the folder of raw data sets")
    return folder


def raw_digest() -> str | None:
    """The same digest of all raw data, None where none are named. No task says which of them its scripts read.

    Raises:
        UserError: it is no folder, or a file cannot be read.
    """
    folder = raw_data()
    return _digest(folder) if folder else None


def _digest(folder: Path) -> str:
    whole = hashlib.sha256()
    try:
        for path in sorted(_files(folder)):
            whole.update(f"{_of_file(path)} {path.relative_to(folder)}\n".encode())
    except OSError as error:
        raise UserError(f"{error.filename}: {error.strerror}; a search's key needs all files of {folder}") from None
    return whole.hexdigest()


def _files(folder: Path) -> Iterator[Path]:
    """All regular files, links followed; a folder that comes again, as in a circle of links, is passed over."""

    def refuse(error: OSError) -> None:
        raise error

    seen: set[tuple[int, int]] = set()
    for here, folders, files in os.walk(folder, onerror=refuse, followlinks=True):
        status = os.stat(here)
        if (status.st_dev, status.st_ino) in seen:
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        folders[:] = sorted(name for name in folders if name != "__pycache__")
        yield from (path for name in files if (path := Path(here, name)).is_file())


def _of_file(path: Path) -> str:
    """SHA-256 of a file; a process reads a large one once, as long as size and times stay."""
    status = path.stat()
    key = (str(path), status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    if key in _known:
        return _known[key]
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if time.time_ns() - max(status.st_mtime_ns, status.st_ctime_ns) > _SETTLED_NS:
        _known[key] = found
    return found
