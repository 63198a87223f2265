"""Candidates that are started before their outcome is asked for."""

import contextlib
import os
import time
from pathlib import Path

import pytest

from aira_lib.sandbox import closes_files, isolation, start_candidate
from aira_lib.sandbox.family import family
from aira_lib.sandbox.launch import Isolation
from aira_lib.sandbox.process import Started, start_here
from aira_lib.study import CandidateLimits

LIMITS = CandidateLimits(seconds=20, memory_mb=256, disk_mb=4, processes=4)
WAITS = "import sys, time\nprint('begun', flush=True)\nsys.stdin.readline()\n"


def started(code: str, workdir: Path, **seen: Path) -> Started:
    workdir.mkdir(exist_ok=True)
    return start_here(code, workdir, LIMITS, LIMITS.seconds, seen, waits=True)


def test_one_that_waits_goes_on_when_its_outcome_is_asked_for(tmp_path: Path, strength: Isolation) -> None:
    one = started(WAITS + "Path = __import__('pathlib').Path\nPath('went').touch()\nprint(input())", tmp_path / "work")
    time.sleep(0.3)
    assert not (tmp_path / "work" / "went").exists()
    outcome = one.outcome(10)
    assert (tmp_path / "work" / "went").exists()
    assert outcome.stdout_tail == "begun\n"
    assert "EOFError" in outcome.reason, outcome  # the line was the last one


def test_time_counts_from_when_its_outcome_is_asked_for(tmp_path: Path, strength: Isolation) -> None:
    one = started(WAITS + "time.sleep(30)", tmp_path / "work")
    time.sleep(0.8)
    outcome = one.outcome(0.5)
    assert outcome.status == "timeout"
    assert 0.5 <= outcome.seconds < 10
    assert "longer than 0.5 s" in outcome.reason


def test_without_time_it_is_not_told_to_go_on(tmp_path: Path, strength: Isolation) -> None:
    one = started(WAITS + "open('went', 'w')", tmp_path / "work")
    assert one.outcome(0).status == "timeout"
    assert not (tmp_path / "work" / "went").exists()
    assert not family(one._launched.process.pid)


def test_what_it_sees_can_be_written_until_then(tmp_path: Path) -> None:
    if not closes_files(isolation()):
        pytest.skip("files are copied")
    (tmp_path / "rows").mkdir()
    (tmp_path / "told").touch()
    code = WAITS + "print(open('rows/one').read(), open('told').read())\nopen('told', 'a')"
    (tmp_path / "work").mkdir()
    seen = {"rows": tmp_path / "rows", "told": tmp_path / "told"}
    one = start_candidate(code, tmp_path / "work", LIMITS, seen)
    assert one
    (tmp_path / "rows" / "one").write_text("1")
    (tmp_path / "told").write_text("2")
    outcome = one.outcome(10)
    assert outcome.stdout_tail == "begun\n1 2\n"
    assert "Read-only file system" in outcome.reason, outcome


@pytest.mark.parametrize("code", ["time.sleep(30)", "import os\nos.fork()\ntime.sleep(30)"])
def test_one_that_nobody_asks_is_killed_with_all_that_it_started(
    tmp_path: Path, strength: Isolation, code: str
) -> None:
    before = {each.pid for each in family(os.getpid())}
    one = started("import sys, time\n" + code, tmp_path / "work")
    time.sleep(0.3)
    assert {each.pid for each in family(os.getpid())} - before
    one.kill()
    one.kill()
    assert not {each.pid for each in family(os.getpid())} - before


def bootstraps(of: Path) -> set[int]:
    """Processes of candidates in this folder before these run, whoever their parents are."""
    found, plan = set(), str(of).encode().hex().encode()
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError):
                found |= {int(entry)} if plan in Path(f"/proc/{entry}/cmdline").read_bytes() else set()
    return found


def test_one_that_is_killed_while_it_starts_leaves_nothing_behind(tmp_path: Path, strength: Isolation) -> None:
    """bubblewrap takes what it starts with it only from when that runs."""
    for number in range(60):
        one = started("open('went', 'w')\nimport time\ntime.sleep(60)", tmp_path / str(number))
        time.sleep(number % 12 / 5_000)
        assert bootstraps(tmp_path)
        one.kill()
    time.sleep(0.5)
    assert not bootstraps(tmp_path)


def test_one_that_died_while_it_waited_has_its_outcome(tmp_path: Path, strength: Isolation) -> None:
    one = started("import no_such_module", tmp_path / "work")
    time.sleep(0.5)
    outcome = one.outcome(10)
    assert (outcome.status, outcome.exit_code) == ("error", 1)
    assert "no_such_module" in outcome.reason
