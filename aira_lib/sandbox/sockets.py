"""What the kernel may hold for a candidate in buffers of sockets, which is resident in none of its processes.

Each socket counts with the most that its buffers can ever hold, full or not: their sizes cannot be raised where system
calls are filtered (see calls.py). In a network of the candidate's own the kernel says how many sockets there are, those
under way in messages and those that are closed but not yet read empty included; elsewhere their descriptors are
counted. TCP sizes its buffers by itself, so what lies in them is added; it is where a network has a loopback
(bubblewrap's) that anything can lie there.
"""

import contextlib
import functools
import stat
from collections.abc import Iterable, Sequence
from pathlib import Path

from aira_lib.sandbox.calls import call_filter
from aira_lib.sandbox.family import Process, open_files

_SETTINGS = Path("/proc/sys/net/core")
_USUAL = 212_992  # bytes: net.core.wmem_default of Linux
_COUNTED_TWICE = 2  # a buffer may be overrun by one message, which may be as large as the buffer


def buffered(processes: Sequence[Process], own_network: bool) -> int:
    """Bytes that sockets may hold for processes, at most.

    Args:
        processes: The living processes of a candidate.
        own_network: Whether they are alone in a network namespace.
    """
    if not own_network:
        return _descriptors(processes) * most_of_one()
    for process in processes:
        network = Path(f"/proc/{process.pid}/net")
        with contextlib.suppress(OSError, ValueError):
            line = (network / "sockstat").read_text().split("\n", 1)[0]
            used = int(line.removeprefix("sockets: used "))
            # The kernel walks all of its table, most of a look's cost, to write that no connection is in it.
            return used * most_of_one() + sum(map(_in_tcp, _tables(network))) if used else 0
    return 0


@functools.cache
def most_of_one() -> int:
    """Bytes that the buffers of one socket can hold, but TCP's."""
    kind = "default" if call_filter() else "max"
    sizes = [_setting(f"{name}_{kind}") for name in ("wmem", "rmem")]
    return _COUNTED_TWICE * max(sizes) * (1 if kind == "default" else 2)  # the kernel doubles what is asked for


def _setting(name: str) -> int:
    try:
        return int((_SETTINGS / name).read_text())
    except (OSError, ValueError):  # some containers show none of this
        return _USUAL


def _descriptors(processes: Sequence[Process]) -> int:
    return len({about.st_ino for each in processes for about in open_files(each.pid) if stat.S_ISSOCK(about.st_mode)})


def _tables(network: Path) -> Iterable[str]:
    for name in ("tcp", "tcp6"):
        with contextlib.suppress(OSError):
            yield (network / name).read_text()


def _in_tcp(table: str) -> int:
    """Bytes for what the kernel's table of TCP connections says to be unsent and unread, hexadecimal `tx:rx`."""
    queues = (line.split()[4].split(":") for line in table.splitlines()[1:])
    return _COUNTED_TWICE * sum(int(sent, 16) + int(received, 16) for sent, received in queues)
