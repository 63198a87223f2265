"""One at a time among all processes and machines that share a store: a lease that ends with its holder.

In a folder it is a locked file, which the kernel lets go of when its holder dies, even by kill -9 (on a network file
system the server of locks does). In S3 it is an object that its holder writes anew every few seconds; one that was
left alone for longer than `seconds` may be taken over. A lease saves work and guards nothing: where it fails (a file
system without locks, a machine that slept past its lease), two do the same, so what they do must be harmless twice.
"""

import errno
import fcntl
import json
import logging
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from aira_lib.errors import StoreError
from aira_lib.store.base import Store
from aira_lib.store.local import disk_errors

if TYPE_CHECKING:
    from aira_lib.store.s3 import S3Store

SECONDS = 30.0
"""A holder in S3 that is silent for so long is taken for dead; it writes four times as often."""

_FIRST_WAIT, _LONGEST_WAIT = 0.01, 0.5
_log = logging.getLogger(__name__)


@contextmanager
def lease(store: Store, name: str, enough: Callable[[], bool], seconds: float = SECONDS) -> Iterator[bool]:
    """Hold the lease of a name while the block runs; waits for it, unless there is nothing left to wait for.

    Args:
        store: what is shared.
        name: of the lock in the store; it is gone when nobody holds or wants it.
        enough: asked while another holds the lease; True ends the wait.
        seconds: see `SECONDS`; of S3 only.

    Yields:
        Whether the lease is held; False after `enough`.

    Raises:
        StoreError: disk or bucket refuse.
    """
    folder = store.folder(name)
    if folder is not None:
        with _locked(folder, enough) as mine:
            yield mine
        return
    from aira_lib.store.s3 import S3Store

    if not isinstance(store, S3Store):
        raise TypeError(f"no leases in a {type(store).__name__}")
    claim = _Claim(store, name, seconds)
    if not _waited(claim.take, enough, seconds):
        yield False
        return
    with claim.kept_alive():
        yield True


def _waited(take: Callable[[], bool], enough: Callable[[], bool], seconds: float = SECONDS) -> bool:
    """Try until it is taken or enough."""
    wait = _FIRST_WAIT
    while not take():
        if enough():
            return False
        time.sleep(wait)
        wait = min(2 * wait, _LONGEST_WAIT, seconds / 10)
    return True


# --- a folder ---------------------------------------------------------------------------------------------------------


@contextmanager
def _locked(path: Path, enough: Callable[[], bool]) -> Iterator[bool]:
    held: list[int] = []

    def take() -> bool:
        with disk_errors(path):
            descriptor = _try_lock(path)
        held.extend([] if descriptor is None else [descriptor])
        return bool(held)

    if not _waited(take, enough):
        yield False
        return
    try:
        yield True
    finally:
        path.unlink(missing_ok=True)
        os.close(held[0])


def _try_lock(path: Path) -> int | None:
    """A descriptor that holds the lock, or None where another holds it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        except OSError as error:
            if error.errno not in (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS):
                os.close(descriptor)
                raise
            _log.warning("%s: this file system has no locks; equal work may be done twice", path.parent)
            return descriptor
        if _is(path, descriptor):
            return descriptor
        os.close(descriptor)  # its last holder removed the file after it was opened here


def _is(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


# --- S3 ---------------------------------------------------------------------------------------------------------------


class _Claim:
    """One process's attempt at the lease of a name in a bucket."""

    def __init__(self, store: "S3Store", name: str, seconds: float) -> None:
        self._store, self._name, self._seconds = store, name, seconds
        self._token, self._beats = secrets.token_hex(8), 0
        self._tag: str | None = None  # of the object as this process wrote it last; None: not, or no longer, held

    def take(self) -> bool:
        """Write the object if there is none, or one whose holder is silent; False where another holds it."""
        there = self._store.read_tagged(self._name)
        if there is None or there.age > self._seconds:
            self._write(there.tag if there else None)
        return self._tag is not None

    @contextmanager
    def kept_alive(self) -> Iterator[None]:
        """Renew it while the block runs, then remove it."""
        over = threading.Event()
        heart = threading.Thread(target=self._beat, args=(over,), daemon=True)
        heart.start()
        try:
            yield
        finally:
            over.set()
            heart.join()
            if self._tag is not None:
                self._store.remove(self._name)

    def _beat(self, over: threading.Event) -> None:
        while self._tag is not None and not over.wait(self._seconds / 4):
            try:
                self._write(self._tag)
            except StoreError as error:
                _log.warning("a lease could not be renewed, another process may do the same work: %s", error)

    def _write(self, tag: str | None) -> None:
        self._beats += 1
        content = json.dumps({"holder": self._token, "beat": self._beats}).encode()
        self._tag = self._store.write_if(self._name, content, tag)
