"""A temporary folder that does not outlive its process for long, not even after a kill."""

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aira_lib.sandbox import discard

_PREFIX = "aira-search-"


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Yield an empty temporary folder, and delete it at the end.

    It is locked as long as this process lives. Folders of earlier searches that nobody has locked were left by a kill:
    they are deleted first.
    """
    for stale in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        if (lock := _lock(stale)) is not None:
            discard(stale)
            os.close(lock)
    folder, lock = _new()
    try:
        yield folder
    finally:
        discard(folder)
        os.close(lock)


def _new() -> tuple[Path, int]:
    while True:  # another search may take a folder for stale before it is locked; then there is a next one
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
        lock = _lock(folder)
        if lock is not None and folder.exists():
            return folder, lock
        if lock is not None:
            os.close(lock)


def _lock(folder: Path) -> int | None:
    """Lock a folder of ours; None if another process has it, or it is not a folder of ours."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        if os.fstat(descriptor).st_uid == os.geteuid():
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return descriptor
    except OSError:
        pass
    os.close(descriptor)
    return None
