"""What runs in a candidate's pod: it takes in files, runs the candidate under the same watch as anywhere, and sends the
declared outputs and the outcome back (see frames.py).

It is started by an exec into the pod's container, with the sources of this and what it imports as its first input (see
bundle.py): the image holds Python and packages for candidates, and nothing of this project. Nothing here is imported
but the standard library. The candidate is the same user, so this process shows itself to no other, as the candidate's
own supervisor does; one that is killed all the same ends its candidate without an outcome, which counts as a failure.

The first member of the archive is the plan, JSON: `code`, `workdir`, `home` (a folder for inputs), `limits`, `seconds`,
`readonly` (the names of inputs that the candidate is not to change), `outputs` (patterns) and `unreachable` (addresses,
of which none may answer before a candidate starts). Its other members lie below `work/` or `inputs/`.
"""

from __future__ import annotations

import contextlib
import ctypes
import fnmatch
import json
import os
import signal
import sys
import tarfile
import tempfile
import threading
import time
import warnings
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NoReturn, cast

from aira_lib.sandbox.artefacts import ArtefactError, collect
from aira_lib.sandbox.frames import (
    ALIVE,
    BEAT,
    BEGUN,
    FOUND,
    OUTCOME,
    PART,
    SETUP,
    SILENCE,
    Archive,
    Source,
    frame,
    frames_of,
    read_frame,
    text,
)
from aira_lib.sandbox.launch import closes_files
from aira_lib.sandbox.process import SandboxError, run_here
from aira_lib.sandbox.servers import reachable
from aira_lib.sandbox.strength import isolation

if TYPE_CHECKING:
    from aira_lib.sandbox.process import Outcome
    from aira_lib.study import CandidateLimits

MOST_FILES = 10_000
"""Of the outputs of one candidate."""

MARK = "aira-candidate"
"""An argument of the container's first process."""

PR_SET_DUMPABLE = 4
_MAIN = 1  # the container's first process, which waits (see manifest.py)
_FILTERS: dict[str, Any] = {"filter": "tar"} if hasattr(tarfile, "tar_filter") else {}  # Python 3.11.4 brought them


def main() -> NoReturn:
    """Serve one candidate on stdin and stdout."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
    tempfile.tempdir = sys.argv[1]  # beside the sources: the root is read-only, folders for such files included
    talk = Talk(sys.stdin.buffer)
    warnings.simplefilter("ignore")  # of the isolation within a pod: it comes on top of the pod's own
    try:
        candidate = prepare(talk)
        talk.send(frame(BEGUN))
        outcome = candidate.run()
    except Exception as error:  # whatever it is, it is nothing that a candidate did
        talk.send(frame(SETUP, text(f"{type(error).__name__}: {error}"[:1000])))
        talk.end()
    _kill_others()
    try:
        _send_outputs(talk, candidate)
    except ArtefactError as refused:
        outcome = replace(outcome, status="error", reason=str(refused))
    talk.send(frame(OUTCOME, text(asdict(outcome))))
    talk.end()


class Talk:
    """The frames of both ways. What comes after the archive is read by a thread of its own: the end of the search, or
    its silence, ends this process, and with it all that descends from it.
    """

    def __init__(self, source: Source) -> None:
        """Take over stdout: nothing else in this process, or below it, has it any more."""
        self.source = source
        self._sink = os.dup(1)
        os.dup2(2, 1)
        self._one = threading.Lock()
        self._heard = time.monotonic()
        threading.Thread(target=self._beat, daemon=True).start()

    def listen(self) -> None:
        """Begin to listen for the search's end."""
        threading.Thread(target=self._listen, daemon=True).start()

    def send(self, data: bytes) -> None:
        """Write frames, whole."""
        with self._one:
            left = memoryview(data)
            while left:
                left = left[os.write(self._sink, left) :]

    def heard(self) -> None:
        """Note that the search lives."""
        self._heard = time.monotonic()

    def end(self) -> NoReturn:
        """End this process and, where it is in a pod, the container."""
        _tell_main(signal.SIGTERM)
        os._exit(0)

    def _listen(self) -> None:
        with contextlib.suppress(Exception):
            while read_frame(self.source)[0] == ALIVE:
                self.heard()
        self.end()

    def _beat(self) -> None:
        with contextlib.suppress(OSError):
            while time.monotonic() - self._heard < SILENCE:
                self.send(frame(ALIVE))
                _tell_main(signal.SIGUSR1)  # more than once: it may not have begun to wait for it
                time.sleep(BEAT)
        self.end()


class _Heard:
    """A source that tells when something of it has come."""

    def __init__(self, talk: Talk) -> None:
        self._talk = talk

    def read(self, size: int, /) -> bytes:
        found = self._talk.source.read(size)
        self._talk.heard()
        return found


@dataclass(frozen=True)
class Candidate:
    """One that is ready to run.

    Attributes:
        plan: See the module.
        shown: Inputs by their names in the work directory, which are shown there; others have been put there.
    """

    plan: dict[str, Any]
    shown: dict[str, Path]

    @property
    def workdir(self) -> Path:
        """Its work directory."""
        return Path(self.plan["workdir"])

    def run(self) -> Outcome:
        """Run it, as anywhere.

        Raises:
            SandboxError: none can be run here.
        """
        limits = cast("CandidateLimits", SimpleNamespace(**self.plan["limits"]))
        return run_here(self.plan["code"], self.workdir, limits, self.plan["seconds"], self.shown)


def prepare(talk: Talk) -> Candidate:
    """Take in all that a candidate needs.

    Raises:
        SandboxError: the network is not cut, or no plan comes.
        OSError: the files do not fit.
    """
    strength = isolation()
    # Where a view of the files can be closed, inputs are shown in it read-only; elsewhere they are in their places.
    beside = closes_files(strength)
    archive = Archive(_Heard(talk))
    with tarfile.open(fileobj=cast(Any, archive), mode="r|") as tar:
        plan = _plan(tar)
        workdir, inputs = Path(plan["workdir"]), Path(plan["home"]) / "inputs"
        _take_in(tar, workdir, inputs if beside else workdir)
    archive.finish()
    talk.listen()
    if not beside:
        _protect(workdir, plan["readonly"])
    if strength == "none" and (open_to := reachable(plan["unreachable"])):
        raise SandboxError(f"{open_to} can be reached there, so no network policy holds for its namespace")
    return Candidate(plan, {name: inputs / name for name in plan["readonly"]} if beside else {})


def _plan(tar: tarfile.TarFile) -> dict[str, Any]:
    first = tar.next()
    content = tar.extractfile(first) if first else None
    if content is None:
        raise SandboxError("no plan has come")
    plan: dict[str, Any] = json.load(content)
    return plan


def _take_in(tar: tarfile.TarFile, workdir: Path, inputs: Path) -> None:
    """Unpack the other members, as they come."""
    places = {"work": workdir, "inputs": inputs}
    for place in places.values():
        place.mkdir(parents=True, exist_ok=True)
    for member in tar:
        top, _, member.name = member.name.partition("/")
        if member.name:
            tar.extract(member, places[top], **_FILTERS)


def _protect(workdir: Path, names: list[str]) -> None:
    for name in names:
        for path in (workdir / name, *(workdir / name).rglob("*")):
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() else 0o444)


def _send_outputs(talk: Talk, candidate: Candidate) -> None:
    """Send each declared output: regular files with a single name; of others, what is there in their place."""
    plan, workdir = candidate.plan, candidate.workdir
    left = plan["limits"]["disk_mb"] << 20
    for name in declared(workdir, plan["outputs"], [*plan["readonly"], "candidate.py"]):
        path = workdir / name
        try:
            content = collect(path.parent, path.name, left)
        except ArtefactError:
            talk.send(frame(FOUND, text({"name": name, **_in_its_place(path)})))
            continue
        left -= len(content)
        talk.send(frame(FOUND, text({"name": name, "kind": "file", "size": len(content)})))
        for part in frames_of(PART, content):
            talk.send(part)


def declared(workdir: Path, patterns: list[str], hidden: list[str]) -> list[str]:
    """The names of entries below the work directory that patterns name; no link is followed on the way.

    Raises:
        ArtefactError: there are more than `MOST_FILES` where a pattern is no plain name.
    """
    plain = {pattern for pattern in patterns if not any(letter in pattern for letter in "/*?[")}
    further = [pattern.removeprefix("./") for pattern in patterns if pattern not in plain]
    found = {name for name in plain if os.path.lexists(workdir / name)}
    todo, seen = [""] if further else [], 0
    while todo:
        here = todo.pop()
        with contextlib.suppress(OSError), os.scandir(workdir / here) as listing:
            for entry in listing:
                name, seen = here + entry.name, seen + 1
                if seen > MOST_FILES:
                    raise ArtefactError(f"more than {MOST_FILES} files were written")
                if name in hidden:
                    continue
                if entry.is_dir(follow_symlinks=False):
                    todo.append(f"{name}/")
                elif any(fnmatch.fnmatchcase(name, pattern) for pattern in further):
                    found.add(name)
    return sorted(found)


def _in_its_place(path: Path) -> dict[str, Any]:
    try:
        about = os.lstat(path)
    except OSError:
        return {"kind": "none"}
    if os.path.islink(path):
        return {"kind": "link"}
    if not os.path.isfile(path) or about.st_nlink != 1:
        return {"kind": "folder" if os.path.isdir(path) else "other"}
    return {"kind": "large"}


def _kill_others() -> None:
    """What a candidate left behind, for it may have killed the supervisors whose children it would have become."""
    if _in_pod():
        with contextlib.suppress(OSError):
            os.kill(-1, signal.SIGKILL)  # all but the first process and this one


def _tell_main(number: signal.Signals) -> None:
    """Tell the container's first process that a supervisor begins, or has ended."""
    if _in_pod():
        with contextlib.suppress(OSError):
            os.kill(_MAIN, number)


def _in_pod() -> bool:
    """Whether this was started from outside of a container in which there is nothing but a candidate."""
    try:
        return os.getppid() == 0 and MARK.encode() in Path(f"/proc/{_MAIN}/cmdline").read_bytes()
    except OSError:
        return False
