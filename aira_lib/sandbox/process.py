"""Run one candidate program as a process of its own here, within limits, and say how it ended.

What holds: a fresh session whose every descendant is killed at the end (also when the harness itself dies); wall and
CPU time, address space, file size, open files, number of processes and of threads, memory of all processes together
with the buffers of their sockets (see sockets.py), size of the work directory, files without a name included, output,
of which the middle is left out; an environment of a few fixed names, no standard input; no capabilities, and none of
the system calls that would evade all this (see calls.py); and, where the machine allows namespaces (`isolation`), no
network, no sight of other processes, and a file system of its own (see view.py): system libraries, this Python and its
packages, the data, all read-only, and the work directory. No home, no project, no records, no temporary files of
others, no sockets in folders, none of this project's own code.

What does NOT hold. Attacks on the kernel or the GPU's driver, and covert channels (timing, caches, load). Disk and
memory bandwidth. A candidate reads all that is installed in this Python environment and in the system's library
folders, user names (/etc/passwd) and what /proc tells of the whole machine (/proc/cpuinfo, meminfo, uptime). 64 MB of
/dev/shm are writable besides the work directory. Of the kernel's memory nothing but sockets is counted: pipes (64 MB of
all processes of a user, then two pages each), page tables, a thread's 30 KB or so, locks on files. With privileged
namespaces the candidate is the same user as the harness, root without any privilege. Limits watched from outside
(processes, total memory, disk) are looked at a few dozen times a second, so they can be passed for a moment; a nameless
file counts as disk only while a descriptor of a process holds it, not if only a mapping or a message under way does.
The share of a GPU's memory is a setting of PyTorch and JAX and binds no program that calls CUDA itself; GPU candidates
have no limit of address space, see the machine's topology in /sys, and what others left in the GPU's memory is the
driver's to clear. Without namespaces a candidate can reach the network and this user's processes, and one that kills
its own supervisor can leave a process behind; "open files" strengths and "none" do not restrict the file system. System
calls are refused on x86_64 and aarch64 alone.

This module and what it imports run in candidates' pods, too (see bundle.py), where there is Python and nothing else.
"""

from __future__ import annotations

import contextlib
import math
import os
import re
import select
import selectors
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from aira_lib.device import cores
from aira_lib.errors import UserError
from aira_lib.foreign import harmless
from aira_lib.sandbox.family import kill_family
from aira_lib.sandbox.gpu import Gpu, gpu_of_machine
from aira_lib.sandbox.launch import Launched, closes_files, launch
from aira_lib.sandbox.laying import PROGRAM, lay_out
from aira_lib.sandbox.output import Output, shortened
from aira_lib.sandbox.strength import isolation
from aira_lib.sandbox.view import NO_GPU
from aira_lib.sandbox.watch import Status, Watch, most_threads

if TYPE_CHECKING:
    from aira_lib.study import CandidateLimits

_MB = 1024 * 1024
_BIRTH_SECONDS = 10.0
TAIL = 4_000  # characters of each stream that are kept
_RUNAWAY = 256  # times the output that is kept while it runs; a program that prints so much prints for ever
_OUT_OF_MEMORY = re.compile(r"MemoryError|std::bad_alloc|[Cc]annot allocate memory|can't allocate memory")
_OUT_OF_GPU_MEMORY = re.compile(r"CUDA out of memory|RESOURCE_EXHAUSTED|CUDA_ERROR_OUT_OF_MEMORY")
_OUT_OF_DISK = re.compile(r"\[Errno 27\]|\[Errno 28\]|SIGXFSZ")


class SandboxError(UserError):
    """The machine cannot run candidates at all: no fault of the candidate."""


@dataclass(frozen=True)
class Outcome:
    """How a candidate ended. `exit_code` is negative for a signal, None if it was stopped; `reason` is one line.

    The two tails are the end of what it printed, after the beginning where all of it would be too long. `peak_memory`
    is the most memory in bytes that any look at its processes saw (see `Watch`), of a GPU none; None: nobody looked.
    `cpu_seconds` is the processor time of the candidate and of all that has ended by then and that it, or its
    supervisor, waited for; None: it did not end by itself.
    """

    status: Status
    exit_code: int | None
    stdout_tail: str
    stderr_tail: str
    seconds: float
    reason: str = ""
    peak_memory: int | None = None
    cpu_seconds: float | None = None


def run_here(
    code: str,
    workdir: Path,
    limits: CandidateLimits,
    seconds: float | None = None,
    readonly: Mapping[str, Path] | None = None,
    hides: Sequence[str] = (),
) -> Outcome:
    """Run a Python program in a work directory and wait for its end.

    Args:
        code: The program's source; it runs as `python -s -P -B`, with the packages of this environment.
        workdir: An existing folder for this candidate alone; it is the current directory and the home.
        limits: What the candidate may use.
        seconds: Wall time if less than `limits.seconds`, such as what is left of the run.
        readonly: Files and folders by the relative name under which the candidate finds them, unchangeable where
            the view of the file system is closed, a write-protected copy elsewhere.
        hides: Names of packages that the candidate does not see where the view is closed.

    Raises:
        SandboxError: no candidate could be run here.
    """
    allowed = limits.seconds if seconds is None else min(limits.seconds, seconds)
    if allowed <= 0:
        return out_of_time()
    return start_here(code, workdir, limits, allowed, readonly, hides).outcome(allowed)


def start_here(
    code: str,
    workdir: Path,
    limits: CandidateLimits,
    most_seconds: float,
    readonly: Mapping[str, Path] | None = None,
    hides: Sequence[str] = (),
    waits: bool = False,
) -> Started:
    """Start a Python program, with arguments as those of `run_here`.

    It will be allowed `most_seconds` of wall time. One that `waits` reads a line of its standard input, which it gets
    once its outcome is asked for; else there is none.
    """
    workdir = workdir.resolve()
    strength, data = isolation(), readonly or {}
    lay_out(code, workdir, data, copies=not closes_files(strength))
    watch = Watch(limits, workdir, own_network=strength != "none")
    gpu = gpu_of_machine(limits.gpu_memory_fraction) if limits.gpu else NO_GPU
    command = [sys.executable, "-s", "-P", "-B", PROGRAM]
    launched = launch(command, workdir, strength, _rlimits(limits, most_seconds, gpu), data, gpu, hides, waits)
    return Started(launched, watch)


class Started:
    """A candidate that was started. It does not end by itself: `outcome` waits for it and ends it, or `kill` does."""

    def __init__(self, launched: Launched, watch: Watch) -> None:
        size = watch.limits.output_kb * 1024
        for descriptor in launched.descriptors:
            os.set_blocking(descriptor, False)
        self._launched, self._watch, self._ended = launched, watch, _Ended(Output(size), Output(size))
        self._killed = False

    def outcome(self, seconds: float) -> Outcome:
        """How it ends, within so many seconds from now."""
        if seconds <= 0:
            self.kill()
            return out_of_time()
        self._watch.begin(seconds)
        try:
            _let_go(self._launched)
            _follow(self._launched, self._watch, self._ended)
        finally:
            self.kill()
        return _outcome(self._ended, self._watch, time.monotonic() - self._watch.begun)

    def kill(self) -> None:
        """End it and all that it started, if that has not been done."""
        if not self._killed:
            _await_birth(self._launched, self._ended)
            kill_family(self._launched.process.pid)
            self._killed = True
            _drain(self._launched, self._ended)


def _await_birth(launched: Launched, ended: _Ended) -> None:
    """Let bubblewrap come so far that what it starts dies with it; killed before, it would leave that behind."""
    if launched.wrapped and not ended.report:
        select.select([launched.report], [], [], _BIRTH_SECONDS)


def _let_go(launched: Launched) -> None:
    """Send a candidate that waits its line. One that is dead by now is found so when it is followed."""
    if launched.process.stdin:
        with contextlib.suppress(BrokenPipeError), launched.process.stdin as line:
            line.write(b"\n")


def out_of_time() -> Outcome:
    """Of a candidate that was not started."""
    return Outcome("timeout", None, "", "", 0.0, "no time was left to run it")


def _rlimits(limits: CandidateLimits, seconds: float, gpu: Gpu = NO_GPU) -> dict[str, int]:
    """Limits that the kernel holds for each process. CUDA reserves more address space than any machine has memory."""
    rlimits = {
        "RLIMIT_CPU": math.ceil(seconds * cores()) + 2,
        "RLIMIT_FSIZE": limits.disk_mb * _MB,
        "RLIMIT_NOFILE": 1024 if gpu.devices else 256,
        "RLIMIT_CORE": 0,
    }
    if not gpu.devices:
        rlimits["RLIMIT_AS"] = limits.memory_mb * _MB
    if isolation().startswith("user namespaces") and os.geteuid() != 0:
        # Counted within the user namespace. Elsewhere it would count all of the user's processes, and root has none.
        rlimits["RLIMIT_NPROC"] = most_threads(limits) + 2
    return rlimits


@dataclass
class _Ended:
    """What has been seen of a candidate so far."""

    stdout: Output
    stderr: Output
    report: bytearray = field(default_factory=bytearray)
    breach: tuple[Status, str] | None = None

    def by_itself(self) -> tuple[int, float] | tuple[None, None]:
        """The reported exit code and CPU seconds, if the candidate ended by itself."""
        if self.breach is not None:
            return None, None
        kind, _, told = bytes(self.report).decode("utf-8", "replace").strip().partition(" ")
        if kind == "setup":
            raise SandboxError(f"no candidate can be run on this machine: {told}")
        code, _, used = told.partition(" ")
        return (int(code), float(used)) if kind == "exit" else (None, None)


def _follow(launched: Launched, watch: Watch, ended: _Ended) -> None:
    """Read what the candidate writes until it ends or passes a limit."""
    sinks = (ended.stdout, ended.stderr, ended.report)
    with selectors.DefaultSelector() as selector:
        for descriptor, sink in zip(launched.descriptors, sinks, strict=True):
            selector.register(descriptor, selectors.EVENT_READ, sink)
        while not ended.report.endswith(b"\n"):
            for key, _ in selector.select(watch.pause()):
                chunk = os.read(key.fd, 65_536)
                key.data.extend(chunk)
                if not chunk:
                    selector.unregister(key.fd)
                    if key.fd == launched.report:
                        return
            ended.breach = _output_breach(ended, watch.limits) or watch.breach(launched.process.pid)
            if ended.breach:
                return


def _output_breach(ended: _Ended, limits: CandidateLimits) -> tuple[Status, str] | None:
    too_much = ended.stdout.read + ended.stderr.read > limits.output_kb * 1024 * _RUNAWAY
    return ("output", f"printed more than {limits.output_kb} KB, {_RUNAWAY} times over") if too_much else None


def _drain(launched: Launched, ended: _Ended) -> None:
    """Take what still lies in the pipes (64 KB each at most), close them, and forget the process."""
    process = launched.process
    process.wait()
    if process.stdin:
        process.stdin.close()
    for stream, sink in zip(launched.outputs, (ended.stdout, ended.stderr), strict=True):
        with contextlib.suppress(BlockingIOError), stream:
            while chunk := os.read(stream.fileno(), 65_536):
                sink.extend(chunk)
    os.close(launched.report)


def _outcome(ended: _Ended, watch: Watch, seconds: float) -> Outcome:
    exit_code, cpu_seconds = ended.by_itself()
    stdout, stderr = (_text(raw, watch.workdir) for raw in (ended.stdout, ended.stderr))
    late = _output_breach(ended, watch.limits) or watch.disk_breach()
    status, reason = ended.breach or late or _judge(exit_code, stderr, watch)
    tails = shortened(stdout, TAIL), shortened(stderr, TAIL)
    return Outcome(status, exit_code, *tails, seconds, reason, watch.peak_memory or None, cpu_seconds)


def _judge(exit_code: int | None, stderr: str, watch: Watch) -> tuple[Status, str]:
    """The status and reason of a candidate that ended by itself."""
    if exit_code == 0:
        return "ok", ""
    last = next((line.strip() for line in reversed(stderr.splitlines()) if line.strip()), "")
    if exit_code is None:
        return "error", "its supervisor died before it ended"
    if watch.limits.gpu and _OUT_OF_GPU_MEMORY.search(last):
        return "memory", f"used more than its share ({watch.limits.gpu_memory_fraction:.0%}) of the GPU's memory"
    if exit_code == -signal.SIGXCPU:
        return "timeout", f"used more processor time than {watch.allowed:.3g} s on all cores"
    if exit_code == -signal.SIGXFSZ or _OUT_OF_DISK.search(last):
        return "disk", watch.disk_reason()
    if exit_code == -signal.SIGKILL or _OUT_OF_MEMORY.search(last):
        return "memory", watch.memory_reason()
    how = f"exit code {exit_code}" if exit_code > 0 else f"killed by {signal.Signals(-exit_code).name}"
    return "error", f"{how}: {last[:300]}" if last else how


def _text(output: Output, workdir: Path) -> str:
    """Output as harmless text. The work directory's name differs from run to run, and records should not."""
    return harmless(output.text().replace(f"{workdir}/", "").replace(str(workdir), "."))
