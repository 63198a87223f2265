"""The search's side of the talk with the supervisor in a candidate's pod: files in; declared outputs, an outcome out.

Nothing that comes back is trusted. Only outputs that were declared are written, as regular files below the work
directory, through no link; an outcome has the fields and the sizes of one. What a declared output is in place of a
regular file (a link, a folder) is put in its place here, empty, so that whoever collects it gives the same reason.
"""

import fnmatch
import json
import math
import os
import time
from pathlib import Path, PurePosixPath
from typing import Any, get_args

from aira_lib.foreign import harmless, in_a_line
from aira_lib.sandbox.frames import ALIVE, BEAT, BEGUN, FOUND, OUTCOME, PART, SETUP, SILENCE, Broken, Frames, frame
from aira_lib.sandbox.process import TAIL, Outcome, SandboxError
from aira_lib.sandbox.sending import Lost, Pipe, Work, send
from aira_lib.sandbox.watch import Status

_TOO_LARGE = 1 << 40  # bytes of a file with nothing in it, in the place of one that is larger than any that is taken
_GRACE = 60.0  # seconds past the time of a candidate, for its supervisor to end it and to collect
_STATUSES = get_args(Status)
_MOST_MEMORY = 1 << 50  # bytes


class Tampered(Exception):
    """A supervisor says what none of ours would; the text says what."""


def talk(pipe: Pipe, work: Work, workdir: str) -> Outcome:
    """Have a supervisor run a candidate.

    Args:
        pipe: To the supervisor.
        work: What it is to do.
        workdir: The path of the work directory where it is.

    Raises:
        Lost: it ended, or nothing of it was heard for a while.
        Tampered: what it says is not to be believed.
        SandboxError: it says that no candidate can be run there.
    """
    send(pipe, work, workdir)
    answer = _Answer(work)
    try:
        return _followed(pipe, answer, work.seconds)
    except BaseException:
        answer.withdraw()
        raise


def _followed(pipe: Pipe, answer: "_Answer", seconds: float) -> Outcome:
    heard = said = time.monotonic()
    end = heard + seconds + SILENCE + _GRACE
    while answer.outcome is None:
        data = pipe.read(BEAT / 2)
        now = time.monotonic()
        heard = now if data else heard
        answer.take(data)
        if pipe.ended and answer.outcome is None:
            raise Lost("its supervisor ended", answer.begun)
        if now - heard > SILENCE or now > end:
            raise Lost("its supervisor fell silent", answer.begun)
        if now - said > BEAT:
            said = now
            pipe.write(frame(ALIVE))
    return answer.outcome


class _Answer:
    """What a supervisor says, as it comes."""

    def __init__(self, work: Work) -> None:
        self.outcome: Outcome | None = None
        self.begun: float | None = None
        self._work, self._frames = work, Frames()
        self._file: int | None = None
        self._left = 0
        self._put: list[Path] = []
        self._most = work.limits["disk_mb"] << 20

    def take(self, data: bytes) -> None:
        try:
            for kind, content in self._frames.of(data):
                self._one(kind, content)
        except (Broken, ValueError, KeyError, TypeError, OSError) as error:
            raise Tampered(in_a_line(str(error), 100)) from None

    def withdraw(self) -> None:
        """Take away what was put into the work directory: there is no outcome that it belongs to."""
        self._close()
        for path in reversed(self._put):
            path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink(missing_ok=True)

    def _one(self, kind: bytes, content: bytes) -> None:
        if self.outcome is not None or kind == ALIVE:
            return
        if kind == BEGUN:
            self.begun = time.monotonic()
        elif kind == SETUP:
            raise SandboxError(
                f"no candidate can be run in a pod of this cluster: {in_a_line(str(json.loads(content)))}"
            )
        elif kind == OUTCOME:
            self.outcome = _outcome(json.loads(content))
        elif kind == FOUND:
            self._found(json.loads(content))
        elif kind == PART:
            self._part(content)
        else:
            raise Broken(f"no such frame: {kind!r}")

    def _found(self, told: dict[str, Any]) -> None:
        """Begin with an output, or put there what stands in its place."""
        name, kind, size = str(told["name"]), told["kind"], int(told.get("size", 0))
        if not _was_declared(name, self._work):
            raise Broken(f"{name!r} was not declared")
        if self._left or kind not in ("file", "large", "link", "folder", "other", "none") or size < 0:
            raise Broken(f"{name!r} comes as {kind!r}")
        if kind == "none":
            return
        path = self._place(name)
        self._put.append(path)
        if kind == "link":
            path.symlink_to("elsewhere")
        elif kind in ("folder", "other"):
            path.mkdir()
        else:
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
            self._left = size if kind == "file" else 0
        if self._file is not None and kind == "large":
            os.truncate(self._file, _TOO_LARGE)
        if self._left == 0:
            self._close()

    def _place(self, name: str) -> Path:
        """The place of an output, with nothing there.

        Raises:
            OSError: a folder of the name is a link, or something else is in the way.
        """
        folder = self._work.workdir
        for part in PurePosixPath(name).parts[:-1]:
            folder = folder / part
            if folder.is_symlink():
                raise OSError(f"{folder.name} is a link")
            if not folder.exists():
                folder.mkdir()
                self._put.append(folder)
        path = self._work.workdir / name
        path.unlink(missing_ok=True)
        return path

    def _part(self, content: bytes) -> None:
        if self._file is None or len(content) > min(self._left, self._most):
            raise Broken("more was sent than an output holds")
        self._left -= len(content)
        self._most -= len(content)
        left = memoryview(content)
        while left:
            left = left[os.write(self._file, left) :]
        if self._left == 0:
            self._close()

    def _close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None


def _was_declared(name: str, work: Work) -> bool:
    """Whether an output may have this name: a plain path that a pattern names and no input has."""
    path = PurePosixPath(name)
    plain = not path.is_absolute() and str(path) == name and not {"..", "."} & set(path.parts)
    inputs = any(path.is_relative_to(each) for each in work.readonly)
    return plain and not inputs and any(fnmatch.fnmatchcase(name, each.removeprefix("./")) for each in work.outputs)


def _outcome(told: dict[str, Any]) -> Outcome:
    """An outcome, of which texts are harmless and no longer than those of one from here."""
    code, seconds, peak, cpu = (told[name] for name in ("exit_code", "seconds", "peak_memory", "cpu_seconds"))
    seconds, cpu = float(seconds), None if cpu is None else float(cpu)
    if told["status"] not in _STATUSES or not (code is None or isinstance(code, int)) or not math.isfinite(seconds):
        raise Broken("no outcome")
    if peak is not None and not (type(peak) is int and 0 <= peak < _MOST_MEMORY):
        raise Broken("no outcome: its memory is no number of bytes")
    if cpu is not None and not 0 <= cpu < math.inf:
        raise Broken("no outcome: its processor time is no number of seconds")
    stdout, stderr = (harmless(str(told[name]))[:TAIL] for name in ("stdout_tail", "stderr_tail"))
    return Outcome(told["status"], code, stdout, stderr, seconds, in_a_line(str(told["reason"]), 1000), peak, cpu)
