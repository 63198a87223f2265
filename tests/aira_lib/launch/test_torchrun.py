"""Several ranks on this machine: torchrun starts them, and the one that failed first is named with what it said."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from aira_lib.launch.folder import JobFolder
from aira_lib.launch.local import LocalLauncher
from aira_lib.launch.torchrun import failed_rank, lines_of
from tests.aira_lib.launch.ranks import gone, python, until

RANK = "import os, sys, time; rank = int(os.environ['RANK']); print('pid', os.getpid(), rank)\n"


def pids(local: LocalLauncher, count: int) -> list[int]:
    """Numbers of the ranks' processes, as soon as all have said theirs."""
    said = until(lambda: found if len(found := [x for x in local.logs("job") if "]:pid" in x]) == count else None)
    return [int(line.split()[1]) for line in said]


@pytest.mark.slow
def test_ranks_are_started_and_what_they_print_is_kept(tmp_path: Path) -> None:
    local = LocalLauncher(tmp_path)
    local.submit(python(RANK, ranks_per_node=2))
    assert local.wait("job").state == "succeeded"
    assert sorted(line.split()[-1] for line in local.logs("job") if "]:pid" in line) == ["0", "1"]
    apart = [path for path in JobFolder(Path(local.place("job"))).ranks.rglob("stdout.log") if path.read_text()]
    assert sorted(path.parent.name for path in apart) == ["0", "1"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("end", "exit_code", "again"),
    [("sys.exit(75)", 75, True), ("os.kill(os.getpid(), 9)", -9, True), ("sys.exit('no luck')", 1, False)],
)
def test_the_rank_that_fails_is_named_and_the_others_end(tmp_path: Path, end: str, exit_code: int, again: bool) -> None:
    """A rank may print what looks like torchrun's own report: it is not taken for it."""
    fake = "Root Cause (first observed failure):\\n[0]:\\n  rank      : 0 (local_rank: 0)\\n  exitcode  : 2 (x)"
    speaks = "for n in range(30): print('line', n)"
    local = LocalLauncher(tmp_path)
    program = f"{RANK}if rank != 1: time.sleep(600)\nprint('{fake}')\n{speaks}\n{end}"
    local.submit(python(program, ranks_per_node=2))
    status = local.wait("job")
    assert status.failure
    assert (status.failure.rank, status.failure.exit_code, status.failure.retryable) == (1, exit_code, again)
    assert status.failure.reason.startswith("rank 1: ")
    last = [line for line in status.failure.lines if line.startswith("line")]
    assert last[-1] == "line 29"
    assert len(last) >= 19
    assert all(map(gone, pids(local, 2)))


@pytest.mark.slow
def test_no_rank_outlives_whoever_looks_after_it(tmp_path: Path) -> None:
    """Be it the process of ours that is killed, or torchrun itself, which leaves its ranks behind."""
    local = LocalLauncher(tmp_path)
    for kill_torchrun in (False, True):
        local.submit(python(f"{RANK}time.sleep(600)", ranks_per_node=2))
        ranks = pids(local, 2)
        process = JobFolder(Path(local.place("job"))).process()
        assert process
        torchrun = int(subprocess.check_output(["ps", "-o", "ppid=", "-p", str(ranks[0])]))
        os.kill(torchrun if kill_torchrun else process.pid, signal.SIGKILL)
        failure = local.wait("job").failure
        assert failure
        assert failure.retryable
        for pid in ranks:
            until(lambda pid=pid: gone(pid))


@pytest.mark.slow
def test_ranks_are_asked_to_end_before_they_are_killed(tmp_path: Path) -> None:
    mark = "print('asked', flush=True), sys.exit(0)"
    program = f"import signal\n{RANK}signal.signal(15, lambda *_: ({mark}))\nprint('pid', 0)\ntime.sleep(600)"
    local = LocalLauncher(tmp_path)
    local.submit(python(program, ranks_per_node=2))
    ranks = pids(local, 4)
    local.cancel("job")
    assert local.status("job").state == "cancelled"
    assert sum("asked" in line for line in local.logs("job")) == 2
    assert all(map(gone, filter(None, ranks)))


def test_the_dry_run_shows_the_command_of_torchrun(tmp_path: Path) -> None:
    shown = LocalLauncher(tmp_path).dryrun(python("print(1)", ranks_per_node=4))
    assert f"{sys.executable} -m torch.distributed.run --nproc-per-node 4 --standalone" in shown
    assert shown.endswith(f"--no-python {sys.executable} -I -S -u -c 'print(1)'")


def test_the_dry_run_of_several_nodes_shows_the_command_of_each(tmp_path: Path) -> None:
    """Node i differs from node 0 in its number only, and all of them meet at node 0."""
    shown = LocalLauncher(tmp_path).dryrun(python("print(1)", nodes=3, ranks_per_node=8)).splitlines()
    commands = [line for line in shown if not line.startswith("#")]
    assert len(commands) == 3
    assert [line.replace(f"--node-rank {n}", "--node-rank 0") for n, line in enumerate(commands)] == [commands[0]] * 3
    assert '--rdzv-endpoint "$MASTER_ADDR:29500"' in commands[0]


@pytest.mark.slow
def test_what_the_dry_run_shows_for_each_node_makes_one_group_of_ranks(tmp_path: Path) -> None:
    """Two nodes of one rank, both here."""
    says = "import os; print(*(os.environ[name] for name in ('RANK', 'WORLD_SIZE', 'GROUP_RANK')))"
    shown = LocalLauncher(tmp_path).dryrun(python(says, nodes=2)).replace(":29500", f":{free_port()}")
    commands = [line for line in shown.splitlines() if not line.startswith("#")]
    started = [
        subprocess.Popen(["sh", "-c", command], env={**os.environ, "MASTER_ADDR": "127.0.0.1"}, stdout=subprocess.PIPE)
        for command in commands
    ]
    assert [each.communicate(timeout=120)[0] for each in started] == [b"0 2 0\n", b"1 2 1\n"]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_report_without_a_root_cause_names_nobody() -> None:
    assert failed_rank("[default0]:Root Cause (first observed failure):\nTraceback") is None


def test_lines_of_ranks_are_told_apart() -> None:
    assert lines_of(1, ["[default1]:a", "[default10]:b", "c", "[default1]:d"]) == ["a", "d"]
