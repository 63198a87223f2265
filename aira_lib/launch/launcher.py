"""What a launcher is: it shows what it would start, starts jobs, says how they are, and ends them."""

import signal
from collections.abc import Iterator, Sequence
from typing import Literal, Protocol

from aira_lib.launch.job import Job
from aira_lib.section import Section

RETRY = 75
"""Exit code of a process that would get on if it were started again (EX_TEMPFAIL of sysexits.h)."""

LAST_LINES = 20
"""Of what a failed rank printed, kept in its status."""

State = Literal["waiting", "running", "succeeded", "failed", "cancelled", "unknown"]
How = Literal["started", "adopted", "done"]


class Failure(Section):
    """Why a job failed.

    Attributes:
        reason: In a line, such as "rank 3: exit code 2".
        rank: Which rank was the first to fail; None where it was none, or nobody saw which.
        exit_code: Of that rank, or of the job; negative: minus the signal that ended it; None: nobody saw it.
        retryable: Whether the same job may succeed when it is submitted again.
        lines: The last that it printed, `LAST_LINES` at most.
    """

    reason: str
    rank: int | None = None
    exit_code: int | None = None
    retryable: bool = False
    lines: tuple[str, ...] = ()


class Status(Section):
    """How a job is.

    Attributes:
        state: `waiting` for machines or GPUs; `unknown`: there is no such job, or nobody can tell.
        failure: Of a job that failed.
        seconds: Since it was begun, to its end where it has ended; None: it was not begun.
    """

    state: State
    failure: Failure | None = None
    seconds: float | None = None

    @property
    def ended(self) -> bool:
        """Whether it will not change any more, but by another `submit`."""
        return self.state not in ("waiting", "running")


class Launcher(Protocol):
    """Starts jobs of one kind, and finds them again by their names."""

    def dryrun(self, job: Job) -> str:
        """What `submit` would have run or sent, exactly: a command for a shell, or a manifest. It starts nothing."""

    def submit(self, job: Job) -> How:
        """Start a job; one of its name that runs is adopted, one that succeeded is not run again.

        Raises:
            UserError: it cannot be started here.
        """

    def jobs(self) -> Sequence[Job]:
        """All jobs that it can find, by name."""

    def status(self, name: str) -> Status:
        """How the job of a name is."""

    def place(self, name: str) -> str:
        """Where a person finds a job's files or objects.

        Raises:
            UserError: there is no such job.
        """

    def logs(self, name: str, follow: bool = False) -> Iterator[str]:
        """Lines that its ranks printed.

        Args:
            name: Of the job.
            follow: Go on until it has ended.

        Raises:
            UserError: there is no such job.
        """

    def cancel(self, name: str) -> None:
        """End a job, and return when it has ended; one that has ended already stays as it is.

        Raises:
            UserError: there is no such job.
        """


def retryable(exit_code: int) -> bool:
    """Whether a process that ended so may succeed when it is started again.

    Args:
        exit_code: As of `subprocess`, negative for a signal; a shell's 128 + signal is read alike. SIGKILL and SIGTERM
            are what a machine that is short of memory, or taken away, sends.
    """
    by_signal = -exit_code if exit_code < 0 else exit_code - 128
    return exit_code == RETRY or by_signal in (signal.SIGKILL, signal.SIGTERM)


def how_it_ended(exit_code: int) -> str:
    """An exit code in words: of `subprocess`, negative for a signal."""
    if exit_code >= 0:
        return f"exit code {exit_code}"
    known = {each.value: each.name for each in signal.Signals}
    return f"killed by {known.get(-exit_code, f'signal {-exit_code}')}"
