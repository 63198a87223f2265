"""Ranks by torchrun: the command that starts them, and which of them failed first, as torchrun tells it.

torchrun ends all ranks when one fails, gives those that are left 30 s to end by themselves (fixed in its code), and
itself exits with 1 whatever the rank's exit code was. That code stands in what it prints at the end, below "Root
Cause". Lines of ranks are not mistaken for it: `--tee` puts a prefix before each of them.
"""

import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from aira_lib.launch.job import Job

PORT = 29500
_ROOT_CAUSE = re.compile(
    r"^Root Cause \(first observed failure\):\n(?:.*\n){1,4}?"
    r"^  rank      : (?P<rank>\d+) \(local_rank: (?P<local_rank>\d+)\)\n"
    r"^  exitcode  : (?P<exit_code>-?\d+) ",
    re.MULTILINE,
)


class FailedRank(NamedTuple):
    """The rank that failed first: of all nodes, of its node, and its exit code (negative: minus a signal)."""

    rank: int
    local_rank: int
    exit_code: int


def variables_of(job: Job) -> dict[str, str]:
    """The variables that a job's command is started with, beside those that it inherits."""
    return {"PYTHONUNBUFFERED": "1", **dict(job.variables)}  # whoever follows a log waits for no buffer


def command_of(job: Job, logs: Path | None = None) -> list[str]:
    """The command that starts all ranks of a job of one node: its own, or torchrun around it where there are several.

    Args:
        job: the job.
        logs: a folder for what each rank prints, beside all of it together; None: nobody keeps it apart.
    """
    if job.ranks_per_node == 1:
        return list(job.command)
    return [*_torchrun(job), "--standalone", *_rest(job, logs)]


def command_of_node(job: Job, node: int) -> str:
    """The command for a shell that starts the ranks of one node of several; `MASTER_ADDR` is the address of node 0."""
    meeting = ["--nnodes", str(job.nodes), "--node-rank", str(node), "--rdzv-backend", "static", "--rdzv-id", job.name]
    words = shlex.join([*_torchrun(job), *meeting])
    return f'{words} --rdzv-endpoint "$MASTER_ADDR:{PORT}" {shlex.join(_rest(job, None))}'


def _torchrun(job: Job) -> list[str]:
    return [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(job.ranks_per_node)]


def _rest(job: Job, logs: Path | None) -> list[str]:
    kept = ["--log-dir", str(logs), "--tee", "3"] if logs else []
    return [*kept, "--max-restarts", "0", "--no-python", *job.command]


def failed_rank(printed: str) -> FailedRank | None:
    """Which rank failed first, by what torchrun printed; None where it does not say."""
    found = [match.groupdict() for match in _ROOT_CAUSE.finditer(printed)]
    return FailedRank(**{name: int(text) for name, text in found[-1].items()}) if found else None


def lines_of(local_rank: int, lines: Sequence[str]) -> list[str]:
    """What one rank of a node printed, of what all of them did."""
    prefix = f"[default{local_rank}]:"
    return [line.removeprefix(prefix) for line in lines if line.startswith(prefix)]
