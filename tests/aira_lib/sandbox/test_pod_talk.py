"""What a supervisor in a pod says is not trusted: one that a candidate had taken over could write nothing here."""

import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

import aira_lib.sandbox.talk as talk
from aira_lib.sandbox import SandboxError
from aira_lib.sandbox.frames import ALIVE, FOUND, OUTCOME, PART, SETUP, Broken, Frames, frame, text
from aira_lib.sandbox.sending import Lost, Work
from aira_lib.sandbox.talk import Tampered

GOOD = {"status": "ok", "exit_code": 0, "stdout_tail": "a", "stderr_tail": "b", "seconds": 1.5, "reason": "",
        "peak_memory": 7 << 20, "cpu_seconds": 0.25}  # fmt: skip


class Says:
    """A supervisor that says what a test wants, in pieces."""

    def __init__(self, *frames: bytes, piece: int = 7) -> None:
        said = b"".join(frames)
        self._pieces = [said[i : i + piece] for i in range(0, len(said), piece)]
        self.ended: object = None
        self.heard = 0

    def write(self, data: bytes) -> bool:
        self.heard += len(data)
        return True

    def read(self, seconds: float) -> bytes:
        if self._pieces:
            return self._pieces.pop(0)
        self.ended = "ended"
        return b""


@pytest.fixture
def work(tmp_path: Path) -> Work:
    (workdir := tmp_path / "work").mkdir()
    (workdir / "away").symlink_to(tmp_path)
    limits = {"disk_mb": 1}
    return Work("", workdir, "/aira", limits, 5.0, {"data": tmp_path / "work"}, ("out.csv", "deep/*"))


def said(work: Work, *frames: bytes, piece: int = 7) -> Any:
    return talk.talk(Says(*frames, piece=piece), work, "/w")


def found(name: str, kind: str = "file", size: int = 3) -> bytes:
    return frame(FOUND, text({"name": name, "kind": kind, "size": size}))


def outcome(**changes: object) -> bytes:
    return frame(OUTCOME, text(GOOD | changes))


def entries(work: Work) -> set[str]:
    return {str(path.relative_to(work.workdir)) for path in work.workdir.rglob("*")} - {"away"}


def test_declared_outputs_and_the_outcome_come_in_pieces(work: Work) -> None:
    frames = (
        frame(ALIVE),
        found("out.csv"),
        frame(PART, b"a"),
        frame(ALIVE),
        frame(PART, b"bc"),
        found("deep/x", size=0),
    )
    ended = said(work, *frames, outcome(), frame(PART, b"after the end"))
    assert (ended.status, ended.exit_code, ended.stdout_tail, ended.seconds) == ("ok", 0, "a", 1.5)
    assert (ended.peak_memory, said(work, outcome(peak_memory=None)).peak_memory) == (7 << 20, None)
    assert (ended.cpu_seconds, said(work, outcome(cpu_seconds=None)).cpu_seconds) == (0.25, None)
    assert (work.workdir / "out.csv").read_bytes() == b"abc"
    assert entries(work) == {"out.csv", "deep", "deep/x"}


@pytest.mark.parametrize("name", [
    "candidate.py", "/etc/passwd", "../out.csv", "deep/../../x", "deep/", "./out.csv", "away/x", "data/x", "",
    "deep//x",
])  # fmt: skip
def test_what_was_not_declared_is_not_written(work: Work, name: str) -> None:
    anything = Work(
        "", work.workdir, "/aira", work.limits, 5.0, work.readonly, ("out.csv", "deep/*", "away/*", "data/*")
    )
    before = set(work.workdir.parent.rglob("*"))
    with pytest.raises(Tampered):
        said(anything, found(name), frame(PART, b"abc"), outcome())
    assert set(work.workdir.parent.rglob("*")) == before


@pytest.mark.parametrize("frames", [
    (found("out.csv"), frame(PART, b"abcd")),
    (found("out.csv"), found("deep/x"), frame(PART, b"abc")),
    (frame(PART, b"abc"),),
    (found("out.csv", size=3 << 20), *(frame(PART, bytes(1 << 16)) for _ in range(17))),
    (found("out.csv", size=-1),),
    (found("out.csv", "device"),),
    (frame(FOUND, b"{"),),
    (frame(FOUND, b"[]"),),
    (frame(b"?", b""),),
    (struct.pack(">cI", OUTCOME, 1 << 30),),
    (outcome(status="won"),),
    (outcome(exit_code="0"),),
    (outcome(seconds=float("nan")),),
    (outcome(peak_memory=1e9),),
    (outcome(cpu_seconds=-1),),
    (outcome(cpu_seconds=float("nan")),),
    (outcome(cpu_seconds="inf"),),
    (outcome(peak_memory=True),),
    (outcome(peak_memory=-1),),
    (outcome(peak_memory=1 << 60),),
    (frame(OUTCOME, text({"status": "ok"})),),
])  # fmt: skip
def test_what_is_no_answer_is_not_believed_and_leaves_nothing(work: Work, frames: Sequence[bytes]) -> None:
    with pytest.raises(Tampered):
        said(work, *frames, outcome(), piece=1 << 20)
    assert entries(work) == set()


def test_texts_are_as_harmless_and_short_as_those_of_this_machine(work: Work) -> None:
    ended = said(work, outcome(stdout_tail="x\x1b[2J" * 5000, reason="two\nlines " * 500), piece=1 << 20)
    assert len(ended.stdout_tail) <= 4000
    assert "\x1b" not in ended.stdout_tail
    assert "\n" not in ended.reason
    assert len(ended.reason) <= 1000


def test_no_outcome_is_told_apart_and_leaves_nothing(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Lost, match="ended"):
        said(work, found("out.csv"), frame(PART, b"ab"))
    assert entries(work) == set()
    with pytest.raises(SandboxError, match="in a pod of this cluster: no space"):
        said(work, frame(SETUP, text("no\nspace")))
    monkeypatch.setattr(talk, "SILENCE", -1.0)
    with pytest.raises(Lost, match="silent"):
        said(work, frame(ALIVE)[:2])


def test_frames_are_the_same_however_they_are_cut() -> None:
    whole = frame(ALIVE) + frame(PART, b"abc") + frame(OUTCOME, bytes(1000))

    def cut(size: int) -> Iterator[tuple[bytes, bytes]]:
        frames = Frames()
        for begin in range(0, len(whole), size):
            yield from frames.of(whole[begin : begin + size])

    expected = [(ALIVE, b""), (PART, b"abc"), (OUTCOME, bytes(1000))]
    assert all(list(cut(size)) == expected for size in (1, 2, 5, 6, len(whole)))
    with pytest.raises(Broken):
        list(Frames().of(struct.pack(">cI", PART, 1 << 31)))
