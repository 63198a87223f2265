"""No process of a job outlives it: by what Linux offers for that. Elsewhere (macOS) process groups are all there is."""

import contextlib
import ctypes
import os
import signal
import sys
import time
from pathlib import Path

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36


def adopt_orphans() -> None:
    """From now on processes below this one become its children when their parents die."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def end_with_parent(by: signal.Signals = signal.SIGTERM) -> None:
    """Get a signal when the thread that started this process ends, even by kill -9; it lasts through `exec`."""
    _prctl(_PR_SET_PDEATHSIG, by)


def kill_children(patience: float = 10.0) -> None:
    """Kill all that descend from this process, which must `adopt_orphans`, and wait for them.

    Args:
        patience: seconds; one that the kernel cannot end, as it waits for a disk, is left after it.
    """
    deadline = time.monotonic() + patience
    while (children := _children()) and time.monotonic() < deadline:
        for pid in children:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
        time.sleep(0.005)


def _children() -> list[int]:
    if sys.platform != "linux":
        return []
    mine = str(os.getpid())
    pids = (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())
    return [pid for pid in pids if (fields := _stat(pid)) and fields[1] == mine]


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the state on (the name before it may hold anything)."""
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].decode().split()
    except OSError:
        return []


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)
