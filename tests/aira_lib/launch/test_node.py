"""The ranks of one node: the pod's exit code is that of the rank that failed first, and all ends with the node."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from aira_lib.launch import node
from tests.aira_lib.launch.ranks import gone, until

ROOT_CAUSE = """Root Cause (first observed failure):
[0]:
  time      : 2026-01-01_00:00:00
  host      : node
  rank      : 9 (local_rank: 1)
  exitcode  : {code} (pid: 7)
"""


@pytest.mark.parametrize(
    ("code", "printed", "told", "expected"),
    [
        (0, "", False, 0),
        (0, "", True, 0),
        (1, ROOT_CAUSE.format(code=2), False, 2),
        (1, ROOT_CAUSE.format(code=75), False, 75),
        (1, ROOT_CAUSE.format(code=-9), False, 137),
        (1, "a traceback of torchrun", False, 1),
        (-9, "", False, 137),
        (1, "SignalException", True, 143),
    ],
)
def test_the_exit_code_says_whether_another_attempt_may_get_on(
    code: int, printed: str, told: bool, expected: int
) -> None:
    assert node._code(code, printed, told) == expected


def nodes(tmp_path: Path, program: str) -> list["subprocess.Popen[str]"]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    of_trainer = {"PET_NNODES": "2", "PET_NPROC_PER_NODE": "1", "PET_MASTER_ADDR": "127.0.0.1", "PET_MASTER_PORT": port}
    command = [sys.executable, "-m", "aira_lib.launch.node", sys.executable, "-I", "-S", "-u", "-c", program]
    return [
        subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **of_trainer, "PET_NODE_RANK": str(rank), "AIRA_SCRATCH": str(tmp_path / str(rank))},
        )
        for rank in range(2)
    ]


@pytest.mark.slow
def test_two_nodes_meet_as_trainer_has_them_and_each_says_how_its_ranks_ended(tmp_path: Path) -> None:
    """The first loses its neighbour, and says that it may get on."""
    program = "import os, sys; print('rank', os.environ['RANK'], 'of', os.environ['WORLD_SIZE']); sys.exit("
    program += "2 if os.environ['RANK'] == '1' else 75)"
    first, second = nodes(tmp_path, program)
    printed = [each.communicate(timeout=120)[0] for each in (first, second)]
    assert ("rank 0 of 2" in printed[0], "rank 1 of 2" in printed[1]) == (True, True)
    assert (first.returncode, second.returncode) == (75, 2)
    assert printed[1].rstrip().endswith("aira: rank 1: exit code 2")


@pytest.mark.slow
def test_a_node_that_is_told_to_end_tells_its_ranks_and_leaves_none(tmp_path: Path) -> None:
    both = nodes(tmp_path, "import os, time; print('pid', os.getpid()); time.sleep(600)")
    pids = []
    for each in both:
        assert each.stdout
        line = next(line for line in each.stdout if "pid" in line)
        pids.append(int(line.split()[-1]))
    for each in both:
        each.send_signal(signal.SIGTERM)
    assert [each.wait(120) for each in both] == [143, 143]
    until(lambda: all(map(gone, pids)))
