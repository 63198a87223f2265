"""Jobs of one process on this machine: each is run once, found again, ended cleanly, and said how it failed."""

import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from aira_lib.errors import UserError
from aira_lib.launch.folder import JobFolder
from aira_lib.launch.launcher import RETRY
from aira_lib.launch.launchers import LAUNCHERS
from aira_lib.launch.local import LocalLauncher
from tests.aira_lib.launch.ranks import gone, python, until

SLEEPS = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"


@pytest.fixture
def local(tmp_path: Path) -> LocalLauncher:
    return LocalLauncher(tmp_path / "jobs")


def pid_in_log(local: LocalLauncher, name: str = "job") -> int:
    return int(until(lambda: [line for line in local.logs(name) if line.isdigit()])[0])


def supervisor(local: LocalLauncher, name: str = "job") -> int:
    process = JobFolder(Path(local.place(name))).process()
    assert process
    return process.pid


def test_a_job_is_run_once_and_its_log_kept(local: LocalLauncher, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    job = python(
        f"import os; open({str(mark)!r}, 'a').write(os.environ['OWN']); print('out')", variables=(("OWN", "x"),)
    )
    assert local.status("job").state == "unknown"
    assert local.submit(job) == "started"
    assert local.wait("job").state == "succeeded"
    assert local.submit(job) == "done"
    assert (mark.read_text(), list(local.logs("job"))) == ("x", ["out"])
    assert list(local.jobs()) == [job]


def test_what_runs_is_adopted_and_followed_to_its_end(local: LocalLauncher, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    job = python(
        f"import os, time\nprint('one')\nwhile not os.path.exists({str(gate)!r}): time.sleep(0.01)\nprint('two')"
    )
    local.submit(job)
    lines = local.logs("job", follow=True)
    assert next(lines) == "one"
    again = LocalLauncher(Path(local.place("job")).parent)
    assert again.submit(job) == "adopted"
    assert again.status("job").state == "running"
    gate.touch()
    assert list(lines) == ["two"]
    assert again.wait("job").state == "succeeded"


@pytest.mark.parametrize(
    ("program", "code", "again", "reason"),
    [
        ("import sys; print('a'); print('b'); sys.exit(75)", RETRY, True, "rank 0: exit code 75: b"),
        ("import sys; sys.exit(2)", 2, False, "rank 0: exit code 2"),
        ("raise RuntimeError('no \\x1b[2J luck')", 1, False, "rank 0: exit code 1: RuntimeError: no \ufffd[2J luck"),
        ("import os; os.kill(os.getpid(), 9)", -9, True, "rank 0: killed by SIGKILL"),
        ("import os; print('of old', flush=True); os.kill(os.getpid(), 9)", -9, True, "rank 0: killed by SIGKILL"),
        ("import os; os.kill(os.getpid(), 11)", -11, False, "rank 0: killed by SIGSEGV"),
    ],
)
def test_how_a_job_failed(local: LocalLauncher, program: str, code: int, again: bool, reason: str) -> None:
    local.submit(python(program))
    failure = local.wait("job").failure
    assert failure
    assert (failure.rank, failure.exit_code, failure.retryable, failure.reason) == (0, code, again, reason)


def test_of_a_long_log_the_last_lines_are_kept(local: LocalLauncher) -> None:
    local.submit(python("for n in range(50): print(n)\nraise SystemExit(3)"))
    failure = local.wait("job").failure
    assert failure
    assert failure.lines == tuple(map(str, range(30, 50)))


def test_a_program_that_is_not_there_is_a_failure(local: LocalLauncher) -> None:
    local.submit(python("").model_copy(update={"command": ("/nowhere/python",)}))
    failure = local.wait("job").failure
    assert failure
    assert failure.reason == "/nowhere/python cannot be started: No such file or directory"


def test_a_job_that_failed_is_run_again_with_a_new_log(local: LocalLauncher, tmp_path: Path) -> None:
    first = tmp_path / "first"
    job = python(
        f"import os, sys; p = {str(first)!r}; old = os.path.exists(p); open(p, 'w'); print(old); sys.exit(not old)"
    )
    local.submit(job)
    assert local.wait("job").state == "failed"
    assert local.submit(job) == "started"
    assert (local.wait("job").state, list(local.logs("job"))) == ("succeeded", ["True"])


def test_cancelling_asks_first_and_leaves_nobody_behind(local: LocalLauncher, tmp_path: Path) -> None:
    """A child in a session of its own, which no signal to a group reaches, ends as well."""
    child, asked = tmp_path / "child", tmp_path / "asked"
    program = (
        "import os, signal, subprocess, sys, time\n"
        f"signal.signal(15, lambda *_: (open({str(asked)!r}, 'w'), sys.exit(0)))\n"
        f"c = subprocess.Popen([sys.executable, '-ISc', 'import time; time.sleep(600)'], start_new_session=True)\n"
        f"open({str(child)!r}, 'w').write(str(c.pid)); print(os.getpid(), flush=True); time.sleep(600)"
    )
    local.submit(python(program))
    mine = pid_in_log(local)
    local.cancel("job")
    assert local.status("job").state == "cancelled"
    assert asked.exists()
    assert gone(mine)
    assert gone(int(child.read_text()))
    local.cancel("job")  # once more changes nothing
    assert local.status("job").state == "cancelled"


def test_a_deadline_ends_the_job(local: LocalLauncher) -> None:
    local.submit(python(SLEEPS, deadline_seconds=0.3))
    status = local.wait("job")
    assert status.failure
    assert status.failure.reason == "not finished within its deadline of 0 s"
    assert not status.failure.retryable
    assert gone(pid_in_log(local))


def test_whoever_looks_after_a_job_may_be_killed(local: LocalLauncher) -> None:
    local.submit(python(SLEEPS))
    mine = pid_in_log(local)
    os.kill(supervisor(local), signal.SIGKILL)
    failure = local.wait("job").failure
    assert failure
    assert failure.retryable
    until(lambda: gone(mine))
    assert local.submit(python("print('again')")) == "started"
    assert local.wait("job").state == "succeeded"


def test_sigterm_from_elsewhere_is_no_cancellation(local: LocalLauncher) -> None:
    """As of a machine that is shut down: the job may be run again."""
    local.submit(python(SLEEPS))
    mine = pid_in_log(local)
    os.kill(supervisor(local), signal.SIGTERM)
    failure = local.wait("job").failure
    assert failure
    assert (failure.reason, failure.retryable) == ("killed by SIGTERM", True)
    assert gone(mine)


def test_a_number_of_a_process_that_is_used_again_is_not_believed(local: LocalLauncher) -> None:
    local.submit(python("raise SystemExit(75)"))
    local.wait("job")
    folder = Path(local.place("job"))
    (folder / "end.json").unlink()
    (folder / "process.json").write_text(f'{{"pid": {os.getpid()}, "begun": 1.0}}')
    assert local.status("job").state == "failed"
    local.cancel("job")  # and this process lives


@pytest.mark.parametrize("attached", [True, False])
def test_an_attached_job_ends_with_the_process_that_submitted_it(tmp_path: Path, attached: bool) -> None:
    submits = (
        "import sys; from pathlib import Path; from aira_lib.launch.local import LocalLauncher\n"
        "from tests.aira_lib.launch.ranks import python, until\n"
        f"local = LocalLauncher(Path({str(tmp_path)!r}), attached={attached})\n"
        f"local.submit(python({SLEEPS!r}))\n"
        "until(lambda: list(local.logs('job')))"
    )
    subprocess.run([sys.executable, "-c", submits], check=True, cwd=Path(__file__).parents[3])
    local = LocalLauncher(tmp_path)
    if attached:
        failure = local.wait("job").failure
        assert failure
        assert (failure.reason, failure.retryable) == ("the process that it was started for has ended", True)
    else:
        assert local.status("job").state == "running"
        local.cancel("job")
    assert gone(pid_in_log(local))


def test_the_dry_run_is_a_command_that_a_shell_runs(local: LocalLauncher) -> None:
    shown = local.dryrun(python("import os; print(os.environ['OWN'])", variables=(("OWN", "it's $HOME"),)))
    done = subprocess.run(["sh", "-c", shown], capture_output=True, text=True, check=True)
    assert done.stdout == "it's $HOME\n"
    assert not local.jobs()


def test_values_of_variables_that_are_passed_on_are_kept_and_shown_nowhere(
    local: LocalLauncher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OWN_SECRET", "hush-hush")
    job = python("import os; print(len(os.environ['OWN_SECRET']))", environment=("OWN_SECRET",))
    assert "hush" not in local.dryrun(job)
    local.submit(job)
    local.wait("job")
    assert list(local.logs("job")) == ["9"]
    assert not [path for path in Path(local.place("job")).rglob("*") if path.is_file() and b"hush" in path.read_bytes()]


def test_what_one_machine_cannot_do_is_refused(local: LocalLauncher, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,3")
    with pytest.raises(UserError, match="job job: 2 nodes, and this is one machine"):
        local.submit(python("", nodes=2))
    with pytest.raises(UserError, match="job job: 3 GPUs on one machine, and this one has 2 GPUs"):
        local.submit(python("", gpus_per_node=3))
    with pytest.raises(UserError, match="there is no job 'jbo'"):
        local.cancel("jbo")
    assert not local.jobs()


def test_jobs_wait_for_gpus_and_see_only_their_own(
    local: LocalLauncher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,3,5")
    monkeypatch.setenv("AIRA_SCRATCH", str(tmp_path / "scratch"))
    shows = "import os, time; print(os.environ['CUDA_VISIBLE_DEVICES'], flush=True); time.sleep(600)"
    local.submit(python(shows, "two", gpus_per_node=2))
    assert until(lambda: list(local.logs("two"))) == ["0,3"]
    local.submit(python(shows, "one", gpus_per_node=1))
    assert until(lambda: list(local.logs("one"))) == ["5"]
    local.submit(python(shows, "next", gpus_per_node=1))
    until(lambda: JobFolder(Path(local.place("next"))).process())
    assert local.status("next").state == "waiting"
    local.cancel("one")
    assert until(lambda: list(local.logs("next"))) == ["5"]
    for name in ("two", "next"):
        local.cancel(name)


def test_folders_of_jobs_that_ended_long_ago_are_removed_and_no_others(local: LocalLauncher, tmp_path: Path) -> None:
    local.submit(python("", "ended"))
    local.submit(python(SLEEPS, "runs"))
    pid_in_log(local, "runs")
    local.wait("ended")
    strange = tmp_path / "jobs" / "strange"
    strange.mkdir()
    for name in ("ended", "runs", "strange"):
        os.utime(tmp_path / "jobs" / name, (0, 0))
    local.submit(python("", "next"))
    assert [job.name for job in local.jobs()] == ["next", "runs"]
    assert strange.exists()
    local.cancel("runs")
    local.wait("next")


def test_the_launcher_of_this_machine_is_found_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRA_SCRATCH", str(tmp_path))
    launcher = LAUNCHERS.named("local")()
    launcher.submit(python("print(1)"))
    assert (tmp_path / "jobs" / "job" / "job.json").exists()
    assert list(launcher.logs("job", follow=True)) == ["1"]
    assert shlex.split(launcher.dryrun(python("print(1)")))[1] == sys.executable
