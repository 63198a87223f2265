"""The command line called in this process: what it says, and how it ends."""

import io
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from importlib import import_module
from unittest.mock import patch

import typer

from aira_lib.cli import app, main

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
