"""The processes that descend from one process: what they use, and how to end them all.

Reads /proc. Where there is none (macOS) a family is empty, and only process groups can be killed.
"""

import contextlib
import os
import signal
import sys
import time
from dataclasses import dataclass

_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Process:
    """One living process. `rss` counts bytes and counts shared pages once a process."""

    pid: int
    group: int
    rss: int


def family(root: int) -> list[Process]:
    """All living descendants of a process, itself not included."""
    if sys.platform != "linux":
        return []
    children: dict[int, list[tuple[int, list[str]]]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit() and (fields := _stat(int(entry))):
            children.setdefault(int(fields[1]), []).append((int(entry), fields))
    found: list[Process] = []
    todo = [root]
    while todo:
        for pid, fields in children.get(todo.pop(), ()):
            todo.append(pid)
            if fields[0] not in "ZX":
                found.append(Process(pid, int(fields[2]), int(fields[21]) * _PAGE))
    return found


def memory(processes: list[Process], enough: int) -> int:
    """Bytes of memory that processes use together; exact only above `enough`.

    Adding up resident pages counts a page once a process. Only when that sum is over `enough` the kernel is asked
    for each process's proportional share, which costs more.
    """
    total = sum(process.rss for process in processes)
    return total if total <= enough else sum(_proportional(process) for process in processes)


def kill_family(root: int, patience: float = 5.0) -> bool:
    """Kill all descendants of a process and then itself; True when none is left.

    Whole process groups are killed at once, so that a fork bomb cannot outrun its end; the rest in rounds.
    """
    deadline = time.monotonic() + patience
    while (living := family(root)) and time.monotonic() < deadline:
        for group in {process.group for process in living} - {root, os.getpgrp()}:
            _kill(-group)
        for process in living:
            _kill(process.pid)
        time.sleep(0.001)
    _kill(root)
    return not living


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGKILL)


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the state on (the name before it may hold anything)."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].decode().split()
    except OSError:
        return []


def _proportional(process: Process) -> int:
    try:
        with open(f"/proc/{process.pid}/smaps_rollup") as file:
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith("Pss:"))
    except (OSError, StopIteration):
        return process.rss
