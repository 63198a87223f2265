"""Slots among all calls of a machine, and the limit on a call's time."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from aira_lib.agents.calls import NoSlot, limited
from aira_lib.errors import UserError

HOLDER = """
import os, sys, time
from aira_lib.agents.calls import limited
def call():
    print("in", flush=True)
    sys.stdin.read()
limited(call)
print("out", flush=True)
"""


@pytest.fixture(autouse=True)
def _own_slots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRA_SCRATCH", str(tmp_path))


def holder() -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=dict(os.environ)
    )
    return process


def in_a_call(process: subprocess.Popen[str]) -> bool:
    assert process.stdout
    return process.stdout.readline() == "in\n"


def test_no_more_calls_at_once_than_slots_over_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRA_CONCURRENT_CALLS", "2")
    lock, inside, seen = threading.Lock(), [0], list[int]()

    def call() -> None:
        with lock:
            inside[0] += 1
            seen.append(inside[0])
        time.sleep(0.02)
        with lock:
            inside[0] -= 1

    threads = [threading.Thread(target=limited, args=(call,)) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 10
    assert max(seen) == 2


@pytest.mark.parametrize("killed", [False, True])
def test_a_slot_is_of_all_processes_and_dies_with_its_own(killed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRA_CONCURRENT_CALLS", "1")
    first = holder()
    assert in_a_call(first)
    second = holder()
    done = threading.Event()
    threading.Thread(target=lambda: (limited(lambda: None), done.set()), daemon=True).start()
    assert not done.wait(0.4), "the other process holds the only slot"
    if killed:
        first.send_signal(signal.SIGKILL)
    for process in (first, second):
        assert process.stdin
        process.stdin.close()
    assert in_a_call(second)
    assert done.wait(30)
    for process in (first, second):
        process.wait()
        assert process.stdout
        process.stdout.close()


def test_without_a_limit_there_are_no_slots(tmp_path: Path) -> None:
    assert limited(lambda: limited(lambda: 3)) == 3
    assert list(tmp_path.iterdir()) == []


def test_a_call_that_lasts_too_long_is_left_but_keeps_its_slot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRA_CONCURRENT_CALLS", "1")
    monkeypatch.setenv("AIRA_CALL_SECONDS", "0.05")
    over, done = threading.Event(), threading.Event()
    with pytest.raises(TimeoutError):
        limited(over.wait)
    monkeypatch.setenv("AIRA_CALL_SECONDS", "30")
    threading.Thread(target=lambda: (limited(lambda: None), done.set()), daemon=True).start()
    assert not done.wait(0.3)
    over.set()
    assert done.wait(30)


def test_what_a_call_raises_is_raised_and_frees_its_slot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRA_CONCURRENT_CALLS", "1")
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            limited(lambda: 1 / 0)


@pytest.mark.parametrize("name", ["AIRA_CONCURRENT_CALLS", "AIRA_CALL_SECONDS"])
@pytest.mark.parametrize("value", ["many", "0", "-1", "nan", "inf"])
def test_a_setting_that_is_no_number_is_one_line(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match=f"{name}='{value}' is no number above 0") as caught:
        limited(lambda: None)
    assert "\n" not in str(caught.value)


def test_the_time_that_is_left_bounds_waiting_and_call_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRA_CONCURRENT_CALLS", "1")
    with pytest.raises(TimeoutError):
        limited(threading.Event().wait, seconds=0.05)  # keeps its slot
    called = []
    with pytest.raises(NoSlot):
        limited(lambda: called.append(1), seconds=0.05)
    assert called == []
