"""The command line called in this process, or several commands in one other: what it says, and how it ends.

`python -m tests.aira_lib.cli.in_process COMMANDS` is that other one: commands as JSON, how they ended to stdout.
"""

import io
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from unittest.mock import patch

import typer

from aira_lib.cli import app, main
from tests import warm_start

_MODULE = import_module("aira_lib.cli.aira")
_COMMAND = typer.main.get_command(app)  # made once: it takes longer than most commands that are refused


@dataclass(frozen=True)
class Ended:
    """How a command ended. An exception that nobody caught ends the test instead."""

    code: int
    out: str
    err: str


def aira(*arguments: str, **environment: str) -> Ended:
    """Run a command with some of the environment set."""
    out, err = io.StringIO(), io.StringIO()
    with _given(arguments, environment), redirect_stdout(out), redirect_stderr(err):
        try:
            main()
        except SystemExit as end:
            return Ended(int(end.code or 0), out.getvalue(), err.getvalue())
    return Ended(0, out.getvalue(), err.getvalue())


@contextmanager
def _given(arguments: Sequence[str], environment: Mapping[str, str]) -> Iterator[None]:
    with (
        patch.object(sys, "argv", ["aira", *arguments]),
        patch.object(_MODULE, "app", _COMMAND),
        patch.dict("os.environ", environment),
    ):
        yield


def aira_elsewhere(environment: Mapping[str, str], cwd: Path, *commands: Sequence[str]) -> list[Ended]:
    """Run commands one after another in one process that has the environment from its start, as plugins need it.

    Args:
        environment: The whole of it; PYTHONPATH leads to these tests.
        cwd: The current directory.
        commands: The arguments of each.
    """
    done = warm_start.run(__name__, json.dumps(commands), cwd=cwd, env=environment, fresh=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return [Ended(**each) for each in json.loads(done.stdout.splitlines()[-1])]


if __name__ == "__main__":
    print(json.dumps([asdict(aira(*arguments)) for arguments in json.loads(sys.argv[1])]))
