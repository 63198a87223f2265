"""What files hold, as digests: keys of records name contents, so that it does not matter where a file lies.

The SHA-256 of a file of a megabyte and more is remembered below the scratch folder under what the file system says of
it (device, inode, size, times of change); it is computed anew once any of that changes.
"""

import hashlib
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from aira_lib.settings import scratch_folder
from aira_lib.store.files import disk_errors, write_file

WORTH_REMEMBERING = 1 << 20


def file_digest(path: Path) -> str:
    """SHA-256 (hex) of a file's bytes.

    Raises:
        StoreError: the file cannot be read.
    """
    with disk_errors(path):
        found = path.stat()
        if found.st_size < WORTH_REMEMBERING:
            return hashlib.sha256(path.read_bytes()).hexdigest()
        place = _remembered(path.resolve(), found)
        with suppress(OSError):
            return place.read_text()
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    if _unchanged(path, found):
        with suppress(OSError, UnicodeError):
            write_file(place, digest.encode())
    return digest


def folder_digest(folder: Path, files: Iterable[Path] | None = None) -> str:
    """SHA-256 (hex) of the names, relative to a folder, and the contents of all files in it, or of some.

    Raises:
        StoreError: a file cannot be read.
    """
    whole = hashlib.sha256()
    for path in sorted(folder.rglob("*") if files is None else files):
        if path.is_file() and "__pycache__" not in path.parts:
            whole.update(f"{file_digest(path)} {path.relative_to(folder).as_posix()}\n".encode())
    return whole.hexdigest()


def _remembered(path: Path, found: os.stat_result) -> Path:
    says = (str(path), found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
    name = hashlib.sha256(repr(says).encode("utf-8", "surrogateescape")).hexdigest()
    return scratch_folder() / "contents" / name[:2] / name


def _unchanged(path: Path, found: os.stat_result) -> bool:
    now = path.stat()
    return (now.st_ino, now.st_size, now.st_mtime_ns) == (found.st_ino, found.st_size, found.st_mtime_ns)
