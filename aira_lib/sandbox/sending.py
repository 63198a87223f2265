"""What a search sends to the supervisor in a candidate's pod: its sources, a plan, and what the candidate sees."""

import os
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, Protocol, cast

from aira_lib.sandbox.bundle import bundle
from aira_lib.sandbox.frames import FILES, PART_BYTES, frame, text


class Lost(Exception):
    """There will be no outcome: the text says why, as far as the connection tells.

    Attributes:
        begun: When the candidate had begun (of `time.monotonic`); None: it had not.
    """

    def __init__(self, text: str, begun: float | None = None) -> None:
        super().__init__(text)
        self.begun = begun


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


def send(pipe: Pipe, work: Work, workdir: str) -> None:
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
