"""The processes that descend from one process: what they use, and how to end them all.

Reads /proc. Where there is none (macOS) a family is empty, and only process groups can be killed.
"""

import contextlib
import os
import signal
import sys
import time
from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

_PAGE = os.sysconf("SC_PAGE_SIZE")
_FIRST_BLOW = 64  # threads: more than most candidates have, and read within milliseconds
_LISTS_CHILDREN = Path("/proc/thread-self/children").exists()


@dataclass(frozen=True)
class Process:
    """One living process. `rss` counts bytes and counts shared pages once a process."""

    pid: int
    group: int
    rss: int
    threads: int = 1


def family(root: int, thorough: bool = True, most: int = sys.maxsize) -> list[Process]:
    """All living descendants of a process, itself not included.

    A thorough look reads about every process of the machine. The other one follows the kernel's lists of children,
    at a hundredth of the cost, and may miss processes while siblings of theirs are just ending.

    Either ends as soon as it has seen more than `most` threads: a fork bomb must not grow faster than it is looked at.
    """
    found: list[Process] = []
    for through_all in (False, True) if thorough and _LISTS_CHILDREN else (thorough,):
        found, threads = [], 0
        for process in _living(root, through_all):
            found.append(process)
            threads += process.threads
            if threads > most:
                return found
    return found


def _living(root: int, through_all: bool) -> Iterator[Process]:
    """The living descendants of a process, parents before their children, each read when it is asked for."""
    if sys.platform == "linux":
        for pid, fields in (_among_all if through_all or not _LISTS_CHILDREN else _by_lists)(root):
            if fields[0] not in "ZX":
                yield Process(pid, int(fields[2]), int(fields[21]) * _PAGE, int(fields[17]))


def _among_all(root: int) -> Iterator[tuple[int, list[str]]]:
    """Descendants, among all processes of the machine; one that is read before its parent waits for it."""
    known, waiting = {root}, defaultdict[int, list[tuple[int, list[str]]]](list)
    with os.scandir("/proc") as entries:
        for entry in entries:
            if not entry.name.isdigit() or not (fields := _stat(int(entry.name))):
                continue
            if (parent := int(fields[1])) not in known:
                waiting[parent].append((int(entry.name), fields))
                continue
            todo = [(int(entry.name), fields)]
            while todo:
                pid, fields = todo.pop()
                known.add(pid)
                yield pid, fields
                todo += waiting.pop(pid, ())


def _by_lists(root: int) -> Iterator[tuple[int, list[str]]]:
    todo = deque([root])
    while todo:
        for pid, fields in _children(todo.popleft()):
            todo.append(pid)
            yield pid, fields


def _children(parent: int) -> Iterator[tuple[int, list[str]]]:
    """Children of one process, of all its threads."""
    with contextlib.suppress(OSError):
        for thread in os.listdir(f"/proc/{parent}/task"):
            with contextlib.suppress(OSError), open(f"/proc/{parent}/task/{thread}/children", "rb") as file:
                for pid in map(int, file.read().split()):
                    if fields := _stat(pid):
                        yield pid, fields


def memory(processes: Sequence[Process], enough: int) -> int:
    """Bytes of memory that processes use together; exact only above `enough`.

    Adding up resident pages counts a page once a process. Only when that sum is over `enough` the kernel is asked
    for each process's proportional share, which costs more.
    """
    total = sum(process.rss for process in processes)
    return total if total <= enough else sum(_proportional(process) for process in processes)


def unlinked(processes: Sequence[Process], folder: Path) -> int:
    """Bytes on a folder's file system of files that have no name any more and that processes hold open."""
    try:
        device = folder.stat().st_dev
    except OSError:
        return 0
    sizes: dict[int, int] = {}
    for process in processes:
        for about in open_files(process.pid):
            if about.st_nlink == 0 and about.st_dev == device:
                sizes[about.st_ino] = about.st_blocks * 512
    return sum(sizes.values())


def open_files(pid: int) -> Iterator[os.stat_result]:
    """What a process's descriptors stand for."""
    with contextlib.suppress(OSError):
        for descriptor in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(OSError):
                yield os.stat(f"/proc/{pid}/fd/{descriptor}")


def kill_family(root: int, patience: float = 5.0) -> bool:
    """Kill all descendants of a process and then itself; True when none is left.

    In rounds, of which the first sees the nearest few only: the supervisor of a process namespace is among them, with
    which the kernel ends all within it, and elsewhere whole groups are. So a fork bomb does not grow while it is being
    counted. What such a round does not see must come to `root` when its parents die (see bootstrap.py).
    """
    deadline, most = time.monotonic() + patience, _FIRST_BLOW
    while (living := family(root, False, most) or family(root, True, most)) and time.monotonic() < deadline:
        for process in living:
            _kill(process.pid)
        for group in {process.group for process in living} - {root, os.getpgrp()}:
            _kill(-group)
        time.sleep(0.001)
        most *= 2
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
