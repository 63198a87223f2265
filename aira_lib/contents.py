"""What files hold, as digests: keys of records name contents, so that it does not matter where a file lies.

The SHA-256 of a file of a megabyte and more is remembered below the scratch folder under what the file system says of
it (device, inode, size, times of change); it is computed anew once any of that changes.
"""

import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from aira_lib.errors import UserError
from aira_lib.settings import scratch_folder
from aira_lib.store.files import write_file

WORTH_REMEMBERING = 1 << 20
_SETTLED_NS = 2 * 10**9
"""A file that was changed later than this ago may change again without another time of change."""


def file_digest(path: Path) -> str:
    """SHA-256 (hex) of a file's bytes.

    Raises:
        UserError: the file cannot be read.
    """
    try:
        found = path.stat()
        if found.st_size < WORTH_REMEMBERING:
            return hashlib.sha256(path.read_bytes()).hexdigest()
        place = _remembered(path.resolve(), found)
        with suppress(OSError):
            return place.read_text()
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}; what it holds is part of a key") from None
    if time.time_ns() - max(found.st_mtime_ns, found.st_ctime_ns) > _SETTLED_NS:
        with suppress(OSError, UserError):
            write_file(place, digest.encode())
    return digest


def folder_digest(folder: Path) -> str:
    """SHA-256 (hex) of names, relative to a folder, and contents of all files in it; not compiled Python, nor .git.

    Raises:
        UserError: a file or folder cannot be read.
    """
    whole = hashlib.sha256()
    try:
        for path in sorted(_files(folder)):
            whole.update(f"{file_digest(path)} {path.relative_to(folder).as_posix()}\n".encode())
    except OSError as error:
        raise UserError(f"{error.filename}: {error.strerror}; a key needs all files of {folder}") from None
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
        folders[:] = sorted(name for name in folders if name not in ("__pycache__", ".git"))
        yield from (path for name in files if (path := Path(here, name)).is_file())


def _remembered(path: Path, found: os.stat_result) -> Path:
    says = (str(path), found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
    name = hashlib.sha256(repr(says).encode("utf-8", "surrogateescape")).hexdigest()
    return scratch_folder() / "contents" / name[:2] / name
