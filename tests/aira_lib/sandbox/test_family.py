"""The quick look at a family sees what the thorough one sees, and the end of a family is the end of all of it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import aira_lib.sandbox.family as reading
from aira_lib.sandbox.family import family, kill_family
from aira_lib.sandbox.watch import Watch, most_threads
from aira_lib.study import CandidateLimits

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

# A tree of processes: two by the main thread, one by another thread, each with a child; and one that has ended.
# What is orphaned comes to its root, as it comes to the bootstrap of a candidate.
TREE = """
import ctypes, subprocess, sys, threading
ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)
inner = "import subprocess, sys, time; c = subprocess.Popen(['sleep', '60']); print(c.pid, flush=True); time.sleep(60)"
def begin(into):
    child = subprocess.Popen([sys.executable, "-c", inner], stdout=subprocess.PIPE, text=True)
    into += [child.pid, int(child.stdout.readline())]
pids, done = [], threading.Event()
def other():
    begin(pids)
    done.set()
    threading.Event().wait()
threading.Thread(target=other, daemon=True).start()
done.wait()
begin(pids)
begin(pids)
subprocess.Popen(["true"])
print(*pids, flush=True)
threading.Event().wait()
"""


@pytest.fixture
def tree() -> Iterator[tuple[subprocess.Popen[str], set[int]]]:
    root = subprocess.Popen([sys.executable, "-c", TREE], stdout=subprocess.PIPE, text=True)
    assert root.stdout is not None
    try:
        yield root, set(map(int, root.stdout.readline().split()))
    finally:
        kill_family(root.pid)
        root.communicate()


def test_threads_are_counted() -> None:
    code = (
        "import threading\nfor _ in range(9): threading.Thread(target=threading.Event().wait, daemon=True).start()\n"
        "print(flush=True); threading.Event().wait()"
    )
    inner = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {code!r}])"
    root = subprocess.Popen([sys.executable, "-c", inner], stdout=subprocess.PIPE)
    assert root.stdout is not None
    try:
        root.stdout.readline()
        assert [process.threads for process in family(root.pid)] == [10]
    finally:
        kill_family(root.pid)
        root.communicate()


@pytest.mark.parametrize("thorough", [False, True])
def test_it_sees_all_living_descendants(thorough: bool, tree: tuple[subprocess.Popen[str], set[int]]) -> None:
    root, pids = tree
    assert len(pids) == 6
    for _ in range(1000):  # Linux counts pages in batches: for a moment a process that has begun may have none
        seen = {process.pid: process for process in family(root.pid, thorough)}
        assert pids <= set(seen)
        if all(seen[pid].rss for pid in pids):
            break
    assert all(process.rss > 0 and process.group == os.getpgid(root.pid) for process in (seen[pid] for pid in pids))
    assert pids <= {process.pid for process in family(os.getpid(), thorough)}


def test_nobody_survives(tree: tuple[subprocess.Popen[str], set[int]]) -> None:
    root, pids = tree
    assert kill_family(root.pid)
    assert root.wait() < 0
    assert not any(running(pid) for pid in pids)


def running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


# A supervisor with as many children as a fork bomb soon has, each in a group of its own, below one that adopts orphans.
MANY = """
import ctypes, os, signal
ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)
if os.fork() == 0:
    for _ in range(300):
        if os.fork() == 0:
            os.setsid()
            signal.alarm(60)
            signal.pause()
    print(os.getpid(), flush=True)
signal.pause()
"""


@pytest.fixture
def many(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[int, int, list[str]]]:
    """The process above such a supervisor, the supervisor, and what is done to processes, while it is done."""
    root = subprocess.Popen([sys.executable, "-c", MANY], stdout=subprocess.PIPE, text=True)
    assert root.stdout is not None
    done: list[str] = []
    look, kill = reading._stat, reading._kill
    monkeypatch.setattr(reading, "_stat", lambda pid: done.append("look") or look(pid))
    monkeypatch.setattr(reading, "_kill", lambda pid: done.append(f"kill {pid}") or kill(pid))
    try:
        yield root.pid, int(root.stdout.readline()), done
    finally:
        kill_family(root.pid)
        root.communicate()


def test_a_look_ends_where_it_has_seen_too_many(many: tuple[int, int, list[str]], tmp_path: Path) -> None:
    root, _, done = many
    limits = CandidateLimits(processes=12)
    breach = Watch(limits, tmp_path, own_network=False).breach(root)
    assert breach == ("processes", "started more than 12 processes")
    assert len(done) <= most_threads(limits) + 2 < 300


@pytest.mark.parametrize("lists", [True, False], ids=["lists of children", "none of them"])
def test_both_looks_end_early_and_see_all_if_let(
    lists: bool, many: tuple[int, int, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "_LISTS_CHILDREN", lists)
    root, supervisor, _ = many
    assert len(family(root, thorough=True, most=20)) == 21
    every = family(root, thorough=True)
    assert len({process.pid for process in every}) == len(every) == 301
    assert every[0].pid == supervisor


def test_the_first_blow_falls_before_all_are_counted(many: tuple[int, int, list[str]]) -> None:
    root, supervisor, done = many
    assert kill_family(root)
    first = next(i for i, what in enumerate(done) if what != "look")
    assert done[first] == f"kill {supervisor}"
    assert first <= 70
