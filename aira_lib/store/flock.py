"""Holding a name of a folder alone: a locked file, which the kernel lets go of when its holder dies, even by kill -9.

On a network file system the server of locks does so. A file system without locks has none of it: two may hold a name
there, each told that the other may be alive.
"""

import errno
import fcntl
import json
import logging
import os
import shutil
from pathlib import Path

from aira_lib.store.base import TEMPORARY, Held, Holder, safe_name
from aira_lib.store.files import disk_errors, make_folder

_NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)
_log = logging.getLogger(__name__)


def take_lock(root: Path, name: str, holder: Holder) -> Held | None:
    """Lock the file of a name below a folder; None where another process holds it."""
    path = root / safe_name(name)
    with disk_errors(path):
        locked = _try(path)
        if locked is None:
            return None
        descriptor, exclusive = locked
        try:
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, json.dumps(holder.content()).encode(), 0)
        except OSError:
            os.close(descriptor)
            raise
        return _Lock(root, path, descriptor, exclusive)


def holder_of(path: Path) -> Holder | None:
    """Who locked a file, as it says itself."""
    try:
        return Holder.read(path.read_bytes())
    except FileNotFoundError:
        return None


class _Lock:
    """See `aira_lib.store.base.Held`. The file is gone when nobody holds or wants it."""

    def __init__(self, root: Path, path: Path, descriptor: int, exclusive: bool) -> None:
        self._root, self._path, self._descriptor, self._exclusive = root, path, descriptor, exclusive

    def lost(self) -> bool:
        """See `Held`: whether the file is gone, or another one."""
        return not _is(self._path, self._descriptor)

    def confirm(self) -> bool:
        """See `Held`."""
        return not self.lost()

    def take_over(self, folder: str, to: str) -> None:
        """See `Held`."""
        source, target = self._root / safe_name(folder), self._root / safe_name(to)
        with disk_errors(target):
            if self._exclusive:  # its holder is dead: nobody writes there any more
                os.rename(source, target)
            else:
                half = target.with_name(target.name + TEMPORARY)
                shutil.copytree(source, half)
                os.rename(half, target)

    def release(self) -> None:
        """See `Held`."""
        if not self.lost():
            self._path.unlink(missing_ok=True)
        os.close(self._descriptor)


def _try(path: Path) -> tuple[int, bool] | None:
    """A descriptor of the file, and whether it is locked; None where another holds it."""
    make_folder(path.parent)
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                os.close(descriptor)
                raise
            _log.warning("%s: this file system has no locks; equal work may be done twice", path.parent)
            return descriptor, False
        if _is(path, descriptor):
            return descriptor, True
        os.close(descriptor)  # its last holder removed the file after it was opened here


def _is(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False
