"""A temporary folder that does not outlive its process for long, not even after a kill."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aira_lib.sandbox import discard
from aira_lib.store.folder_lock import lock_folder

_PREFIX = "aira-search-"


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Yield an empty temporary folder, and delete it at the end.

    It is locked as long as this process lives. Folders of earlier searches that nobody has locked were left by a kill:
    they are deleted first.
    """
    for stale in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        if (lock := lock_folder(stale)) is not None:
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
        lock = lock_folder(folder)
        if lock is not None and folder.exists():
            return folder, lock
        if lock is not None:
            os.close(lock)
