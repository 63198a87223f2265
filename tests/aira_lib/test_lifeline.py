"""A stage ends with its launcher, whatever it is doing just then."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HOLDS_ITS_LOCK = (
    "from pathlib import Path; from aira_lib.settings import lifeline\nwith lifeline(Path({lock!r})) as mine:"
)
STAGE = "from aira_lib.settings import hold_lifeline\nhold_lifeline()\nprint(1, flush=True)\n"
STUCK = {
    "asleep": "import time; time.sleep(600)",
    "in a regular expression": "import re; re.match('(a+)+$', 'a' * 60 + 'b')",
    "in a computation": "9 ** 9 ** 9",
}


def python(code: str, **environment: str) -> "subprocess.Popen[bytes]":
    """A process, once it has said a line."""
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, env={**os.environ, **environment}
    )
    assert process.stdout is not None
    assert process.stdout.readline()
    return process


@pytest.fixture
def launcher(tmp_path: Path) -> Iterator["subprocess.Popen[bytes]"]:
    head = HOLDS_ITS_LOCK.format(lock=str(tmp_path / "lock"))
    process = python(f"import time; {head} print(1, flush=True); time.sleep(600)")
    yield process
    process.kill()
    process.communicate()


@pytest.mark.parametrize("doing", STUCK)
def test_a_stage_ends_when_its_launcher_is_killed(
    doing: str, launcher: "subprocess.Popen[bytes]", tmp_path: Path
) -> None:
    stage = python(STAGE + STUCK[doing], AIRA_LIFELINE=str(tmp_path / "lock"))
    try:
        with pytest.raises(subprocess.TimeoutExpired):
            stage.wait(timeout=0.3)
        launcher.kill()
        assert stage.wait(timeout=20) == -signal.SIGKILL
    finally:
        stage.kill()
        stage.communicate()


def test_a_stage_two_levels_below_ends_too(launcher: "subprocess.Popen[bytes]", tmp_path: Path) -> None:
    """As kfp starts it: from a process that the launcher started, in a session of its own, which is killed with it."""
    inner = STAGE + "import os; print(os.getpid(), flush=True)\n" + STUCK["in a regular expression"]
    between = (
        STAGE + f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {inner!r}], start_new_session=True)\n"
        "import time; time.sleep(600)"  # the stage may be the first of both to end
    )
    pipeline = python(between, AIRA_LIFELINE=str(tmp_path / "lock"))
    assert pipeline.stdout is not None
    pipeline.stdout.readline()
    stage = int(pipeline.stdout.readline())
    try:
        launcher.kill()
        assert pipeline.wait(timeout=20) == -signal.SIGKILL
        assert eventually_gone(stage)
        assert pipeline.stdout.read() == b""  # nobody holds its output open
    finally:
        pipeline.kill()
        with contextlib.suppress(ProcessLookupError):
            os.kill(stage, signal.SIGKILL)


def test_what_watches_a_stage_ends_with_it(launcher: "subprocess.Popen[bytes]", tmp_path: Path) -> None:
    code = STAGE + "from aira_lib import settings; print(settings._watchers[0].pid, flush=True); input()"
    stage = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        env={**os.environ, "AIRA_LIFELINE": str(tmp_path / "lock")},
    )  # fmt: skip
    assert stage.stdout is not None
    stage.stdout.readline()
    watcher = int(stage.stdout.readline())
    os.kill(watcher, 0)
    stage.communicate(b"\n")
    assert stage.returncode == 0
    assert eventually_gone(watcher)


def test_a_lock_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "aira_lib.local.one_search", "study.json", "a.s0", str(tmp_path)],
        cwd=ROOT, capture_output=True, text=True, check=False,
        env={**os.environ, "AIRA_LIFELINE": str(tmp_path / "none")},
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith(f"aira: AIRA_LIFELINE={tmp_path}/none: No such file")
    assert done.stderr.count("\n") == 1


def eventually_gone(pid: int) -> bool:
    """Whether a process ends before long; one that ended but that nobody has reaped counts as gone."""
    for _ in range(400):
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX":
                return True
        except OSError:
            if Path("/proc").exists():
                return True
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False
