"""The search's side of the talk with the supervisor in a candidate's pod: files in; declared outputs, an outcome out.

Nothing that comes back is trusted. Only outputs that were declared are written, as regular files below the work
directory, through no link; an outcome has the fields and the sizes of one. What a declared output is in place of a
regular file (a link, a folder) is put in its place here, empty, so that whoever collects it gives the same reason.
"""

import fnmatch
import json
import math
import os
import tarfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import Any, Protocol, cast, get_args

from aira_lib.foreign import harmless, in_a_line
from aira_lib.sandbox.bundle import bundle
from aira_lib.sandbox.frames import (
    ALIVE,
    BEAT,
    FILES,
    FOUND,
    OUTCOME,
    PART,
    PART_BYTES,
    SETUP,
    SILENCE,
    Broken,
    Frames,
    frame,
    text,
)
from aira_lib.sandbox.process import TAIL, Outcome, SandboxError
from aira_lib.sandbox.watch import Status

_TOO_LARGE = 1 << 40  # bytes of a file with nothing in it, in the place of one that is larger than any that is taken
_GRACE = 60.0  # seconds past the time of a candidate, for its supervisor to end it and to collect
_STATUSES = get_args(Status)


class Lost(Exception):
    """There will be no outcome: the text says why, as far as the connection tells."""


class Tampered(Exception):
    """A supervisor says what none of ours would; the text says what."""


class Pipe(Protocol):
    """A command's streams: see `aira_lib.cluster.stream.Stream`."""

    @property
    def ended(self) -> object:
        """How it ended, once it has."""

    def write(self, data: bytes) -> bool:
        """Give it bytes."""

    def read(self, seconds: float) -> bytes:
        """Take bytes."""


@dataclass(frozen=True)
class Work:
    """What a supervisor is to do.

    Attributes:
        code: The program.
        workdir: The work directory here, whose files go along, and which outputs are put into.
        home: A folder in the pod.
        limits: Of the candidate, by name.
        seconds: That it may run.
        readonly: Inputs: files and folders here by their names in the work directory.
        outputs: Names and patterns.
        unreachable: Addresses that must not answer.
    """

    code: str
    workdir: Path
    home: str
    limits: Mapping[str, Any]
    seconds: float
    readonly: Mapping[str, Path]
    outputs: Sequence[str]
    unreachable: Sequence[tuple[str, int]] = ()

    def plan(self, workdir: str) -> bytes:
        """As the supervisor reads it."""
        return text({
            "code": self.code, "workdir": workdir, "home": self.home, "limits": dict(self.limits),
            "seconds": self.seconds, "readonly": sorted(self.readonly), "outputs": list(self.outputs),
            "unreachable": list(self.unreachable),
        })  # fmt: skip


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
    _send(pipe, work, workdir)
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
            raise Lost("its supervisor ended")
        if now - heard > SILENCE or now > end:
            raise Lost("its supervisor fell silent")
        if now - said > BEAT:
            said = now
            pipe.write(frame(ALIVE))
    return answer.outcome


class _Answer:
    """What a supervisor says, as it comes."""

    def __init__(self, work: Work) -> None:
        self.outcome: Outcome | None = None
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
        if kind == SETUP:
            raise SandboxError(f"no candidate can be run in a pod of this cluster: {in_a_line(json.loads(content))}")
        if kind == OUTCOME:
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
    code, seconds = told["exit_code"], float(told["seconds"])
    if told["status"] not in _STATUSES or not (code is None or isinstance(code, int)) or not math.isfinite(seconds):
        raise Broken("no outcome")
    stdout, stderr = (harmless(str(told[name]))[:TAIL] for name in ("stdout_tail", "stderr_tail"))
    return Outcome(told["status"], code, stdout, stderr, seconds, in_a_line(str(told["reason"]), 1000))


def _send(pipe: Pipe, work: Work, workdir: str) -> None:
    """Give a supervisor its own sources, and all that it needs before its candidate starts.

    Raises:
        Lost: it takes no more.
    """

    def write(data: bytes) -> None:
        if not pipe.write(data):
            raise Lost("its input was closed")

    write(bundle())
    with tarfile.open(fileobj=cast(Any, _Writer(write)), mode="w|", bufsize=PART_BYTES) as tar:
        _add_bytes(tar, "plan", work.plan(workdir))
        for name, path in (("work", work.workdir), *((f"inputs/{name}", path) for name, path in work.readonly.items())):
            for info, source in _members(tar, Path(os.path.realpath(path)), name):
                _add(tar, info, source)
    write(frame(FILES))


@dataclass(frozen=True)
class _Writer:
    """Frames out of what `tarfile` writes."""

    send: Callable[[bytes], None]

    def write(self, data: bytes) -> int:
        if data:
            self.send(frame(FILES, bytes(data)))
        return len(data)


def _members(tar: tarfile.TarFile, path: Path, name: str) -> Iterator[tuple[tarfile.TarInfo, Path]]:
    """A file, link or folder with all below it; links stay links, and pipes and the like are left out."""
    todo = [(path, name)]
    while todo:
        path, name = todo.pop()
        tar.inodes = {}  # type: ignore[attr-defined]  # or a file's second name would become a link to the first
        info = tar.gettarinfo(path, name)
        if info is None or not (info.isreg() or info.isdir() or info.issym()):
            continue
        # As that of any candidate: a pod has another user, and a folder that cannot be written to takes no files.
        info.mode = 0o755 if info.isdir() or info.mode & 0o100 else 0o644
        info.uid = info.gid = 0
        info.uname = info.gname = ""
        yield info, path
        if info.isdir():
            todo += [(each, f"{name}/{each.name}") for each in sorted(path.iterdir(), reverse=True)]


def _add(tar: tarfile.TarFile, info: tarfile.TarInfo, path: Path) -> None:
    if not info.isreg():
        tar.addfile(info)
        return
    with path.open("rb") as file:
        tar.addfile(info, file)


def _add_bytes(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    tar.addfile(info, BytesIO(content))
