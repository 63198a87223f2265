"""Jobs of a few lines of Python, on this machine."""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aira_lib.launch.job import Job

PATIENCE = 60.0


def python(program: str, name: str = "job", **other: Any) -> Job:
    """A job whose ranks run a program of Python without packages, which starts in milliseconds."""
    return Job(name=name, command=(sys.executable, "-I", "-S", "-u", "-c", program), **other)


def until(holds: Callable[[], Any]) -> Any:
    """What a condition gives as soon as that is true."""
    end = time.monotonic() + PATIENCE
    while not (value := holds()):
        assert time.monotonic() < end, "it never held"
        time.sleep(0.02)
    return value


def gone(pid: int) -> bool:
    """Whether a process has ended; one that nobody asked for its exit code has."""
    try:
        state = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0]
    except OSError:
        return True
    return state == b"Z"
