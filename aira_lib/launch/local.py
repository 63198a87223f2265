"""Jobs on this machine: each looked after by a process of its own (`aira_lib.launch.supervise`), known by its folder.

What a job may use of the machine is asked of it and not enforced, but for GPUs: each is held by one job at a time.
"""

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from aira_lib.errors import UserError, nearest
from aira_lib.launch.folder import JobFolder
from aira_lib.launch.gpus import check_gpus
from aira_lib.launch.job import Job
from aira_lib.launch.launcher import Failure, How, Status
from aira_lib.launch.torchrun import PORT, command_of, command_of_node, variables_of

KEPT_SECONDS = 30 * 86_400.0
"""That the folder of a job is kept after its end."""

_PAUSE = 0.1
_supervisors: list["subprocess.Popen[bytes]"] = []  # of this process, which has to ask how they ended


class LocalLauncher:
    """See `aira_lib.launch.launcher.Launcher`."""

    def __init__(self, root: Path, attached: bool = False) -> None:
        """A launcher.

        Args:
            root: where the folders of its jobs are.
            attached: its jobs end when this process does; else they go on.
        """
        self._root, self._attached = root.absolute(), attached

    def dryrun(self, job: Job) -> str:
        """The command, for a shell; of several nodes that of each."""
        if job.nodes == 1:
            return _with_variables(job, shlex.join(command_of(job, self._folder(job.name).ranks)))
        head = f"# {job.nodes} nodes; MASTER_ADDR is the address of node 0, where port {PORT} is free"
        nodes = (f"# node {n}\n{_with_variables(job, command_of_node(job, n))}" for n in range(job.nodes))
        return "\n".join([head, *nodes])

    def submit(self, job: Job) -> How:
        """See `Launcher`. The job has the environment of this process, and `variables`."""
        if job.nodes > 1:
            raise UserError(
                f"job {job.name}: {job.nodes} nodes, and this is one machine; ask for one node, or start what the dry "
                "run shows on each"
            )
        check_gpus(job.gpus_per_node, f"job {job.name}")
        self._forget_old()
        folder = self._folder(job.name)
        lock = folder.lock()
        if lock is None:
            return "adopted"
        try:
            if (end := folder.end()) and end.state == "succeeded":
                return "done"
            folder.begin(job)
            self._start(folder, lock)
        finally:
            os.close(lock)
        return "started"

    def _start(self, folder: JobFolder, lock: int) -> None:
        parent = [str(os.getpid())] if self._attached else []
        with open(folder.log, "ab") as log:
            supervisor = subprocess.Popen(
                [sys.executable, "-m", "aira_lib.launch.supervise", str(folder.path), str(lock), *parent],
                pass_fds=[lock],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,  # who reads this process's output to its end does not wait for the job
                stderr=log,
                start_new_session=True,
            )
        _supervisors.append(supervisor)

    def jobs(self) -> Sequence[Job]:
        """See `Launcher`."""
        if not self._root.is_dir():
            return []
        return [job for path in sorted(self._root.iterdir()) if (job := JobFolder(path).job())]

    def status(self, name: str) -> Status:
        """See `Launcher`."""
        _forget_ended()
        folder = self._folder(name)
        alive = folder.locked()  # asked first: whoever ends writes how before it lets go
        process, end = folder.process(), folder.end()
        if alive:
            begun = process.begun if process else None
            return Status(state="running" if begun else "waiting", seconds=time.time() - begun if begun else None)
        if end:
            return Status(state=end.state, failure=end.failure, seconds=end.ended - end.begun if end.begun else None)
        if process:
            why = "killed with the process that looked after it, so nobody saw how it ended"
            return Status(state="failed", failure=Failure(reason=why, retryable=True))
        return Status(state="unknown")

    def logs(self, name: str, follow: bool = False) -> Iterator[str]:
        """See `Launcher`."""
        folder = self._known(name)
        with open(folder.log, encoding="utf-8", errors="replace") as log:
            rest = ""
            while True:
                alive = follow and folder.locked()
                *lines, rest = (rest + log.read()).split("\n")
                yield from lines
                if not alive:
                    break
                time.sleep(_PAUSE)
        if rest:
            yield rest

    def cancel(self, name: str) -> None:
        """See `Launcher`. Ranks have 30 s to end by themselves after SIGTERM."""
        folder = self._known(name)
        if folder.locked():
            folder.ask_to_end()
        self.wait(name)

    def wait(self, name: str) -> Status:
        """Wait until a job has ended; how it did."""
        while not (status := self.status(name)).ended:
            time.sleep(_PAUSE)
        return status

    def place(self, name: str) -> str:
        """See `Launcher`: its folder."""
        return str(self._known(name).path)

    def _forget_old(self) -> None:
        for path in self._root.iterdir() if self._root.is_dir() else ():
            with suppress(FileNotFoundError):  # another process did
                JobFolder(path).forget(KEPT_SECONDS)

    def _folder(self, name: str) -> JobFolder:
        return JobFolder(self._root / name)

    def _known(self, name: str) -> JobFolder:
        folder = self._folder(name)
        if not folder.job():
            raise UserError(f"there is no job {name!r}{nearest(name, (job.name for job in self.jobs()))}")
        return folder


def _with_variables(job: Job, command: str) -> str:
    return " ".join([*(f"{name}={shlex.quote(value)}" for name, value in variables_of(job).items()), command])


def _forget_ended() -> None:
    for supervisor in [each for each in _supervisors if each.poll() is not None]:
        with suppress(ValueError):  # another thread did
            _supervisors.remove(supervisor)
