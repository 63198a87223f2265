"""A server that the searches of a machine share: started by the first that needs it, gone with the last.

Three locked files in a folder of the user say who is there, and the kernel keeps them right whoever dies and however:

    start     held for the moment in which a search looks for the server, or starts it
    users     held, shared, by each search for as long as it lives; the server ends when it gets this lock for itself
    server    held by the server for as long as it lives; `address` then says where it listens
"""

import fcntl
import os
import subprocess
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from aira_lib.errors import UserError

_PATIENCE = 180.0  # seconds for a model to be loaded
_POLL = 0.05


class SharedServer:
    """The server as a search sees it. What `command` starts must call `offer`."""

    def __init__(self, folder: Path, command: Sequence[str]) -> None:
        self.folder = folder
        self._command = list(command)
        self._is_user = False

    def url(self) -> str:
        """Where it listens; starts it if there is none (any more).

        Raises:
            UserError: it does not start; with its last word.
        """
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with _held(self.folder / "start"):
            if not self._is_user:
                users = _open(self.folder / "users")
                weakref.finalize(self, os.close, users)  # when this search lets go of its model
                fcntl.flock(users, fcntl.LOCK_SH)
                self._is_user = True
            if not _taken(self.folder / "server"):
                self._start()
            return (self.folder / "address").read_text(encoding="utf-8")

    def _start(self) -> None:
        (self.folder / "address").unlink(missing_ok=True)
        with open(self.folder / "log", "wb") as log:
            # In a session of its own, since it outlives the search that starts it if another one uses it too.
            process = subprocess.Popen(
                [*self._command, str(self.folder)], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip
        patience = time.monotonic() + _PATIENCE
        while not (self.folder / "address").exists():
            if process.poll() is not None or time.monotonic() > patience:
                process.kill()
                said = (self.folder / "log").read_text(encoding="utf-8", errors="replace").strip().split("\n")[-1]
                raise UserError(f"the local model server did not start: {said[:200]} (see {self.folder / 'log'})")
            time.sleep(_POLL)
        threading.Thread(target=process.wait, daemon=True).start()  # so that it leaves no zombie behind


def offer(folder: Path) -> Callable[[str], None] | None:
    """Be the server of a folder, in the process that `SharedServer` started, until its last user is gone.

    Returns:
        What to call with the address once it listens; None where there is a server already.
    """
    server = _open(folder / "server")
    try:
        fcntl.flock(server, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return None
    threading.Thread(target=_end_with_users, args=(folder, server), daemon=True).start()

    def listening(address: str) -> None:
        new = folder / "address.new"
        new.write_text(address, encoding="utf-8")
        new.rename(folder / "address")

    return listening


def _end_with_users(folder: Path, server: int) -> None:
    fcntl.flock(_open(folder / "users"), fcntl.LOCK_EX)
    # Nobody may find this server any more when the lock on `users` falls, which is at the death of the process.
    os.close(server)
    os._exit(0)


@contextmanager
def _held(path: Path) -> Iterator[None]:
    lock = _open(path)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _taken(path: Path) -> bool:
    lock = _open(path)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
