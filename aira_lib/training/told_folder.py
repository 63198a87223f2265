"""The folder in which ranks say how they are to the process that started them; gone with it, or after a kill later."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aira_lib.settings import scratch_folder
from aira_lib.store.files import disk_errors
from aira_lib.store.folder_lock import lock_folder


@contextmanager
def told_folder() -> Iterator[Path]:
    """Give an empty folder below AIRA_SCRATCH; before it, remove those whose processes were killed.

    Raises:
        StoreError: the disk refuses.
    """
    place = (scratch_folder() / "ranks").absolute()
    with disk_errors(place):
        place.mkdir(parents=True, exist_ok=True)
        for stale in place.iterdir():
            if (lock := lock_folder(stale)) is not None:
                shutil.rmtree(stale, ignore_errors=True)
                os.close(lock)
        folder, held = _new(place)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if held is not None:
            os.close(held)


def _new(place: Path) -> tuple[Path, int | None]:
    while True:  # another process may take a folder for left behind before it is locked; then there is a next one
        folder = Path(tempfile.mkdtemp(dir=place))
        lock = lock_folder(folder)
        if folder.exists():
            return folder, lock  # unlocked only where the file system has no locks: then nobody removes it either
        if lock is not None:
            os.close(lock)
