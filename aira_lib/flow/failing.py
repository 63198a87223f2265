"""A unit that fails leaves word of it: why, where, and what was written last."""

import os
import platform
import sys
import traceback
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from datetime import UTC, datetime
from typing import Any, TextIO, cast

from aira_lib.agents.redaction import redacted
from aira_lib.errors import UserError
from aira_lib.foreign import harmless, in_a_line
from aira_lib.launch.launcher import RETRY
from aira_lib.records import Failure

LINES = 50
"""Of the end of a log that are kept."""

_LONGEST = 500  # characters of such a line
_POD_VARIABLES = ("KFP_POD_NAME", "HOSTNAME")


class _Heard:
    """A text stream that passes on what is written to it, and remembers the last whole lines."""

    def __init__(self, stream: TextIO, lines: deque[str]) -> None:
        self._stream, self._lines, self._begun = stream, lines, ""

    def write(self, text: str) -> int:
        *whole, self._begun = (self._begun + text).split("\n")
        self._lines.extend(whole)
        self._begun = self._begun[-_LONGEST:]  # bars of progress never end their line
        return self._stream.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def heard() -> Iterator[deque[str]]:
    """Give the last lines that Python writes to the two streams of this process while the block runs."""
    lines = deque[str](maxlen=LINES)
    out, err = (cast(TextIO, _Heard(stream, lines)) for stream in (sys.stdout, sys.stderr))
    with redirect_stdout(out), redirect_stderr(err):
        yield lines


def is_final(error: Exception) -> bool:
    """Whether an error is the unit's end, rather than something after which its process is to be started again."""
    return getattr(error, "exit_code", 1) != RETRY


def said_of(error: Exception) -> str:
    """An error as the end of a process writes it: a user's in a line, any other with its traceback."""
    if isinstance(error, UserError):
        return f"aira: {error}\n"
    return "".join(traceback.format_exception(error))


def failure_of(stage: str, unit: str, error: Exception, lines: Iterable[str]) -> Failure:
    """What is kept of an error: its reason in a line, and the end of the log.

    Args:
        stage: of the unit.
        unit: its name.
        error: why it failed.
        lines: what was written before. What looks like a secret, and what the environment calls one, is taken out.
    """
    reason = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
    log = redacted("\n".join([*lines, said_of(error)])).rstrip("\n").split("\n")[-LINES:]
    return Failure(
        stage=stage,
        unit=unit,
        reason=in_a_line(redacted(reason)),
        exit_code=getattr(error, "exit_code", 1),
        pod=next((name for each in _POD_VARIABLES if (name := os.environ.get(each))), platform.node()),
        log=tuple(map(_shortened, log)),
        time=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _shortened(line: str) -> str:
    return harmless(line.rstrip("\r").rpartition("\r")[2])[:_LONGEST].rstrip()
