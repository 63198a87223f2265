"""Whether code of an agent compiles and does something, asked of a process that may take its time or die of it."""

import atexit
import json
import os
import select
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from aira_lib.agents.bounds import MAX_CODE, ReplyError
from aira_lib.errors import UserError

SECONDS = 0.8
"""Processor time for compiling a program, and for compiling all that is tried of one reply. Code of `MAX_CODE`
characters as people write it takes a fifth of that."""

_COMPILER = Path(__file__).with_name("compiler.py")
_LENGTH = 8  # bytes that say how long a question is
_PATIENCE = 60.0  # seconds of wall time for an answer, on a machine that is far too busy
_KEPT = 64  # answers; a search asks several times about the same few programs


@dataclass(frozen=True)
class Checked:
    """What compiling code told: why it does not compile (one line), whether it does something, processor seconds."""

    problem: str
    does_something: bool = False
    seconds: float = 0.0

    @property
    def program(self) -> bool:
        """Whether it is a program."""
        return not self.problem and self.does_something


def is_program(code: str) -> bool:
    """Whether code compiles and does something."""
    return check(code).program


def syntax_problem(code: str) -> str:
    """Why code does not compile, in one line; empty if it does."""
    return check(code).problem


@lru_cache(maxsize=_KEPT)
def check(code: str) -> Checked:
    """Compile code, with bounds on its length, the time and the memory.

    Raises:
        UserError: no process can be started.
    """
    if len(code) > MAX_CODE:
        return Checked(f"longer than {MAX_CODE:,} characters")
    return _THE_COMPILER.ask(code)


@dataclass
class Allowance:
    """The time for compiling what is tried of one reply."""

    left: float = field(default=SECONDS)

    def check(self, code: str) -> Checked:
        """See `check`.

        Raises:
            ReplyError: the reply's time is used up.
        """
        if self.left <= 0:
            raise ReplyError(f"the code of the reply takes longer than {SECONDS:g} s to compile")
        checked = check(code)
        self.left -= checked.seconds
        return checked


class _Compiler:
    """The process, which is started by the first question and again where it has died."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0

    def ask(self, code: str) -> Checked:
        question = code.encode("utf-8", "surrogatepass")
        with self._lock:
            for _ in range(2):  # one that died between two questions is no fault of the code
                process = self._running()
                try:
                    assert process.stdin is not None
                    process.stdin.write(len(question).to_bytes(_LENGTH, "big") + question)
                    process.stdin.flush()
                except OSError:
                    self.end()
                    continue
                return self._answer(process)
        raise UserError("the process that compiles programs ends at once; mend this Python installation")

    def _running(self) -> "subprocess.Popen[bytes]":
        if self._process is not None and self._owner == os.getpid():
            return self._process
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-B", str(_COMPILER), str(SECONDS)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env={"LANG": "C.UTF-8"},
            )  # fmt: skip
        except OSError as error:
            raise UserError(f"no process can be started to compile programs: {error.strerror}") from None
        self._owner = os.getpid()
        return self._process

    def _answer(self, process: "subprocess.Popen[bytes]") -> Checked:
        assert process.stdout is not None
        line = b""
        if select.select([process.stdout], [], [], _PATIENCE)[0]:
            line = process.stdout.readline()
        if line.endswith(b"\n"):
            return Checked(*json.loads(line))
        code = self.end()
        if code in (-signal.SIGPROF, -signal.SIGKILL):
            return Checked(f"compiling it takes longer than {SECONDS:g} s", seconds=SECONDS)
        return Checked(f"compiling it brings the compiler down (exit code {code})", seconds=SECONDS)

    def end(self) -> int:
        """End the process, if there is one of ours; its exit code."""
        process, self._process = self._process, None
        if process is None or self._owner != os.getpid():
            return 0
        assert process.stdin is not None
        assert process.stdout is not None
        if not select.select([process.stdout], [], [], 0)[0]:  # it has not closed it: it still works, or waits
            process.kill()
        process.stdout.close()
        with suppress(OSError):
            process.stdin.close()
        return process.wait()


_THE_COMPILER = _Compiler()
atexit.register(_THE_COMPILER.end)
