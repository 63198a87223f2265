"""What a store on a file system rests on: files that appear whole, and what a disk refuses in one line."""

import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from aira_lib.errors import StoreError, from_os_error
from aira_lib.records import FileEntry
from aira_lib.store.base import TEMPORARY


@contextmanager
def disk_errors(place: str | Path) -> Iterator[None]:
    """Turn what a disk refuses into one line; other errors pass, for they are bugs.

    Raises:
        StoreError: no space, no permission, a read-only disk and their kin inside the block.
    """
    try:
        yield
    except OSError as error:
        mendable = from_os_error(error, place)
        if mendable is None:
            raise
        raise mendable from error


def make_folder(path: Path) -> None:
    """Make a folder, and those above it, where it is not there yet.

    Raises:
        StoreError: the disk refuses, or there are no folders of one's own at such a place, as in /proc.
    """
    try:
        with disk_errors(path):
            path.mkdir(parents=True, exist_ok=True)
    except FileNotFoundError:
        raise StoreError(f"{path}: this folder cannot be made; choose another folder") from None


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """Open a new file that takes the place of `path` at the end of the block, on disk and whole; else nothing changes.

    Raises:
        StoreError: the disk refuses.
    """
    make_folder(path.parent)
    with disk_errors(path):
        temporary = path.parent / f".{secrets.token_hex(8)}{TEMPORARY}"
        try:
            with temporary.open("xb") as handle:
                yield handle
                handle.flush()
                os.fsync(handle.fileno())
            os.replace(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        _sync_folder(path.parent)


def write_file(path: Path, data: bytes) -> None:
    """Write a whole local file, atomically and durably.

    Raises:
        StoreError: the disk refuses.
    """
    with replacing(path) as handle:
        handle.write(data)


def file_entry(path: Path, name: str) -> FileEntry:
    """Measure a file: its size in bytes and its SHA-256."""
    with path.open("rb") as handle:
        sha256 = hashlib.file_digest(handle, "sha256").hexdigest()
        return FileEntry(name=name, bytes=handle.tell(), sha256=sha256)


def sync_file(path: Path) -> None:
    """Have a file and its name survive a power cut."""
    with path.open("rb") as handle:
        os.fsync(handle.fileno())
    _sync_folder(path.parent)


def _sync_folder(path: Path) -> None:
    # A rename is durable once its folder is; where folders cannot be opened (Windows) there is nothing to do.
    if os.name == "posix":
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
