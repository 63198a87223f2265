"""The folder of a job on this machine: what it is, who looks after it, what it printed, how it ended.

job.json       the job, as it was submitted
lock           held, exclusively, for as long as anything of the job is alive: the kernel lets go of it
process.json   who looks after it, and since when it runs
log            what its ranks printed
ranks/         the same, apart, where there are several
cancel         it is to be ended
end.json       how it ended; it appears whole, and last
"""

import fcntl
import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from aira_lib.launch.job import Job
from aira_lib.launch.launcher import Failure, State
from aira_lib.section import Section
from aira_lib.store.files import disk_errors, write_file

T = TypeVar("T", bound=Section)


class Process(Section):
    """Who looks after a job, and when it began it (UNIX seconds; None: it has not yet).

    The number says whom to look for, and nothing more: that the process is alive is what the lock says, for numbers are
    used again.
    """

    pid: int
    begun: float | None = None


class End(Section):
    """How a job ended, and when it was begun (None: it never was) and ended (UNIX seconds)."""

    state: State
    failure: Failure | None = None
    begun: float | None = None
    ended: float


@dataclass(frozen=True)
class JobFolder:
    """See the module's docstring."""

    path: Path

    @property
    def log(self) -> Path:
        """What the ranks printed."""
        return self.path / "log"

    @property
    def ranks(self) -> Path:
        """A folder a rank for what it printed."""
        return self.path / "ranks"

    def job(self) -> Job | None:
        """The job; None: there is none here."""
        return _read(self.path / "job.json", Job)

    def process(self) -> Process | None:
        """Who looks after it; None: nobody did yet."""
        return _read(self.path / "process.json", Process)

    def end(self) -> End | None:
        """How it ended; None: it has not, or nobody saw it."""
        return _read(self.path / "end.json", End)

    def lock(self) -> int | None:
        """Take the lock and return its descriptor, which children may inherit; None: something of the job is alive."""
        with disk_errors(self.path):
            for _ in range(20):  # `locked` holds it for a moment
                self.path.mkdir(parents=True, exist_ok=True)
                descriptor = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
                if _try(descriptor, fcntl.LOCK_EX) and _is(self.path / "lock", descriptor):
                    return descriptor
                os.close(descriptor)
                time.sleep(0.01)
        return None

    def locked(self) -> bool:
        """Whether anything of the job is alive."""
        try:
            descriptor = os.open(self.path / "lock", os.O_RDWR)
        except FileNotFoundError:
            return False
        try:
            return not _try(descriptor, fcntl.LOCK_SH)
        finally:
            os.close(descriptor)

    def forget(self, seconds: float) -> None:
        """Remove the folder of a job that ended so long ago, or never began."""
        if not self.job() or time.time() - self.path.stat().st_mtime < seconds:
            return
        descriptor = self.lock()
        if descriptor is not None:
            shutil.rmtree(self.path, ignore_errors=True)
            os.close(descriptor)

    def begin(self, job: Job) -> None:
        """Forget how an earlier attempt ended, and write what is to be done. Only who holds the lock may."""
        with disk_errors(self.path):
            for name in ("end.json", "process.json", "cancel", "log"):
                (self.path / name).unlink(missing_ok=True)
            shutil.rmtree(self.ranks, ignore_errors=True)
            self.log.touch()
        write_file(self.path / "job.json", job.model_dump_json().encode())

    def looked_after(self, begun: float | None) -> None:
        """Write that this process looks after the job, and when it began it."""
        write_file(self.path / "process.json", Process(pid=os.getpid(), begun=begun).model_dump_json().encode())

    def ended(self, end: End) -> None:
        """Write how it ended."""
        write_file(self.path / "end.json", end.model_dump_json().encode())

    def ask_to_end(self) -> None:
        """Write that it is to be ended."""
        with disk_errors(self.path):
            (self.path / "cancel").touch()

    def asked_to_end(self) -> bool:
        """Whether it is to be ended."""
        return (self.path / "cancel").exists()


def _try(descriptor: int, how: int) -> bool:
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is(path: Path, descriptor: int) -> bool:
    """Whether a file is still the one that was opened: the folder of an old job may have been removed since."""
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _read(path: Path, what: type[T]) -> T | None:
    try:
        return what.model_validate_json(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError, ValidationError):
        return None
