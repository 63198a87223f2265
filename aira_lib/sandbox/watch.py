"""Looks at a running candidate from outside: has it passed a limit that the kernel does not hold for us?"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from aira_lib.device import cores
from aira_lib.sandbox.artefacts import used_bytes
from aira_lib.sandbox.family import Process, family, memory, unlinked
from aira_lib.sandbox.sockets import buffered

if TYPE_CHECKING:
    from aira_lib.study import CandidateLimits

Status = Literal["ok", "error", "timeout", "memory", "processes", "output", "disk"]

_MB = 1024 * 1024
_SUPERVISORS = 1  # processes between the outer one and the candidate: init
_POOLS = 8  # threads for each core, which libraries start by themselves (XLA, Arrow, BLAS), besides one a process


def most_threads(limits: CandidateLimits) -> int:
    """Threads of all processes of a candidate together: as many as processes, and a few pools of a thread a core."""
    return limits.processes + _POOLS * cores()


class Watch:
    """Looks often at first and then every tenth of a second.

    `peak_memory` is the most memory that a look saw, in bytes, as the limit of memory counts it: what processes hold
    resident together, their innermost supervisor of some 10 MB among them, and buffers of their sockets. Far below the
    limit a page that several processes share counts once for each.
    """

    def __init__(self, limits: CandidateLimits, workdir: Path, own_network: bool) -> None:
        self.limits, self.workdir, self.own_network = limits, workdir, own_network
        self.begun, self.allowed = time.monotonic(), float("inf")
        self.disk_before = used_bytes(workdir)
        self.next_look = time.monotonic()
        self.looks = 0
        self.looks_over_memory = 0
        self.in_sockets = 0
        self.peak_memory = 0

    def begin(self, seconds: float) -> None:
        """From now on it may take so many seconds."""
        self.begun, self.allowed = time.monotonic(), seconds

    @property
    def deadline(self) -> float:
        """By `time.monotonic`."""
        return self.begun + self.allowed

    def pause(self) -> float:
        """Seconds to wait for something to happen before the next look."""
        now = time.monotonic()
        return max(0.0, min(self.next_look, self.deadline) - now)

    def breach(self, root: int) -> tuple[Status, str] | None:
        """The limit that the family of `root` has passed."""
        now = time.monotonic()
        if now >= self.deadline:
            return "timeout", f"ran longer than {self.allowed:.3g} s and was stopped"
        if now < self.next_look:
            return None
        self.looks += 1
        self.next_look = now + (0.02 if self.looks < 50 else 0.1)
        thorough = self.looks % 5 == 0 or self.looks_over_memory > 0
        processes = family(root, thorough, most_threads(self.limits) + _SUPERVISORS)
        return (
            self._processes_breach(processes)
            or self._memory_breach(processes)
            or (self.disk_breach(processes) if self.looks % 5 == 0 else None)
        )

    def _processes_breach(self, processes: Sequence[Process]) -> tuple[Status, str] | None:
        if len(processes) > self.limits.processes + _SUPERVISORS:
            return "processes", f"started more than {self.limits.processes} processes"
        most = most_threads(self.limits)
        if sum(process.threads for process in processes) > most + _SUPERVISORS:
            return "processes", f"started more than {most} threads in all its processes together"
        return None

    def _memory_breach(self, processes: Sequence[Process]) -> tuple[Status, str] | None:
        self.in_sockets = buffered(processes, self.own_network)
        left = self.limits.memory_mb * _MB - self.in_sockets
        used = memory(processes, left)
        self.peak_memory = max(self.peak_memory, used + self.in_sockets)
        self.looks_over_memory = self.looks_over_memory + 1 if used > left else 0
        # One look alone may see shares move between processes that are just ending.
        return ("memory", self.memory_reason()) if self.looks_over_memory == 2 else None

    def disk_breach(self, processes: Sequence[Process] = ()) -> tuple[Status, str] | None:
        """The work directory's size or shape is beyond what is allowed; files that only processes still hold count."""
        grown = used_bytes(self.workdir) - self.disk_before + unlinked(processes, self.workdir)
        return ("disk", self.disk_reason()) if grown > self.limits.disk_mb * _MB else None

    def memory_reason(self) -> str:
        """What memory it used, sockets named where they are a large part of it."""
        sockets = f", buffers of its sockets included ({self.in_sockets // _MB} MB at most)"
        large = self.in_sockets * 4 > self.limits.memory_mb * _MB
        return f"used more than {self.limits.memory_mb} MB of memory{sockets * large}"

    def disk_reason(self) -> str:
        """How much it wrote."""
        return f"wrote more than {self.limits.disk_mb} MB (or far too many files) into its work directory"
