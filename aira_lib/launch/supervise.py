"""Looks after one job on this machine: `python -m aira_lib.launch.supervise FOLDER LOCK [PARENT]`.

It waits for GPUs, starts the ranks in a session of their own, ends them at the deadline or when it is asked to, kills
whatever they leave behind, and writes how it all ended. It imports no PyTorch.

Whatever ends it, the ranks end: the kernel then sends a signal to what it started, and torchrun passes it on. With
AIRA_LIFELINE set it ends with the launcher of a study, with PARENT when that process ends.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from aira_lib.console import duration
from aira_lib.foreign import harmless, in_a_line
from aira_lib.launch.descendants import adopt_orphans, end_with_parent, kill_children
from aira_lib.launch.folder import End, JobFolder
from aira_lib.launch.gpus import hold_gpus
from aira_lib.launch.job import Job
from aira_lib.launch.launcher import LAST_LINES, Failure, how_it_ended, retryable
from aira_lib.launch.torchrun import command_of, failed_rank, lines_of, variables_of
from aira_lib.settings import hold_lifeline

GRACE_SECONDS = 30.0
"""From SIGTERM to SIGKILL: what torchrun gives its ranks, which is fixed in its code."""

TORCHRUN_SECONDS = 5.0
"""That torchrun itself gets on top of it."""

_PAUSE = 0.2
_TAIL_BYTES = 1_000_000


class Supervisor:
    """One job from its start to its end."""

    def __init__(self, folder: JobFolder, job: Job, lock: int, parent: int | None) -> None:
        self._folder, self._job, self._lock, self._parent = folder, job, lock, parent
        self._begun: float | None = None
        self._signalled = False

    def run(self) -> End:
        """Run the job; how it ended."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._note)
        adopt_orphans()
        self._folder.looked_after(None)
        devices = self._gpus()
        if devices is None:
            return self._end(self._stopped() or "")
        self._begun = time.time()
        self._folder.looked_after(self._begun)
        with open(self._folder.log, "ab") as log:
            try:
                process = self._start(log.fileno(), devices)
            except OSError as error:
                return self._end(f"{self._job.command[0]} cannot be started: {error.strerror}")
            reason = self._wait(process)
        kill_children()
        return self._end(reason, process.returncode)

    def _note(self, number: int, frame: object) -> None:
        self._signalled = True

    def _stopped(self) -> str | None:
        """Why the job is to be ended; None: it is not."""
        if self._folder.asked_to_end():
            return "cancelled"
        if self._signalled:
            return "killed by SIGTERM"
        if self._parent and os.getppid() != self._parent:
            return "the process that it was started for has ended"
        limit = self._job.deadline_seconds
        if limit and self._begun and time.time() - self._begun > limit:
            return f"not finished within its deadline of {duration(limit)}"
        return None

    def _gpus(self) -> Sequence[str] | None:
        """GPUs for the job, once as many are free; None: it was ended before."""
        while not self._stopped():
            if (found := hold_gpus(self._job.gpus_per_node)) is not None:
                return found
            time.sleep(_PAUSE)
        return None

    def _start(self, log: int, devices: Sequence[str]) -> "subprocess.Popen[bytes]":
        visible = {"CUDA_VISIBLE_DEVICES": ",".join(devices)} if devices else {}
        # torchrun is to end its ranks first; of a single process there is nobody else to do it.
        by = signal.SIGTERM if self._job.ranks_per_node > 1 else signal.SIGKILL
        return subprocess.Popen(
            command_of(self._job, self._folder.ranks),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**os.environ, **variables_of(self._job), **visible},
            pass_fds=[self._lock],  # held until this process is gone, too
            start_new_session=True,
            preexec_fn=partial(end_with_parent, by),
        )

    def _wait(self, process: "subprocess.Popen[bytes]") -> str | None:
        """Wait for the end; why it was brought about, None: it was not."""
        while (reason := self._stopped()) is None:
            try:
                process.wait(_PAUSE)
                return None
            except subprocess.TimeoutExpired:
                continue
        several = self._job.ranks_per_node > 1
        # torchrun tells its ranks, which have sessions of their own; without it there may be children to be told.
        (os.kill if several else os.killpg)(process.pid, signal.SIGTERM)
        try:
            process.wait(GRACE_SECONDS + TORCHRUN_SECONDS * several)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        return reason

    def _end(self, reason: str | None, exit_code: int | None = None) -> End:
        if reason == "cancelled":
            return End(state="cancelled", begun=self._begun, ended=time.time())
        if reason is None and exit_code == 0:
            return End(state="succeeded", begun=self._begun, ended=time.time())
        failure = self._failure(reason, exit_code)
        return End(state="failed", failure=failure, begun=self._begun, ended=time.time())

    def _failure(self, reason: str | None, exit_code: int | None) -> Failure:
        printed = _tail(self._folder.log)
        lines = printed.splitlines()
        if reason is not None:
            again = self._signalled or bool(self._parent and os.getppid() != self._parent)
            return Failure(reason=reason, retryable=again, lines=_last(lines))
        assert exit_code is not None
        found = failed_rank(printed) if self._job.ranks_per_node > 1 else None
        if not found:
            rank = 0 if self._job.ranks == 1 else None
            return _failed(rank, exit_code, lines)
        return _failed(found.rank, found.exit_code, lines_of(found.local_rank, lines))


def _failed(rank: int | None, exit_code: int, lines: Sequence[str]) -> Failure:
    who = "torchrun" if rank is None else f"rank {rank}"
    # What a process printed last is no reason where a signal ended it.
    last = next((line for line in reversed(lines) if line.strip()), "") if exit_code >= 0 else ""
    reason = f"{who}: {how_it_ended(exit_code)}{': ' if last else ''}{in_a_line(last, 300)}"
    again = retryable(exit_code)
    return Failure(reason=reason, rank=rank, exit_code=exit_code, retryable=again, lines=_last(lines))


def _last(lines: Sequence[str]) -> tuple[str, ...]:
    return tuple(map(harmless, lines[-LAST_LINES:]))


def _tail(path: Path) -> str:
    with open(path, "rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL_BYTES))
        return file.read().decode(errors="replace")


def main(path: str, lock: str, parent: str = "") -> None:
    """See the module's docstring."""
    hold_lifeline()
    folder = JobFolder(Path(path))
    job = folder.job()
    assert job, f"{path} holds no job"
    folder.ended(Supervisor(folder, job, int(lock), int(parent) if parent else None).run())


if __name__ == "__main__":
    main(*sys.argv[1:])
