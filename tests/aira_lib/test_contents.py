"""Digests of files say what they hold, wherever they lie; a large file is read again only once it changed."""

import hashlib
import os
from pathlib import Path

import pytest

from aira_lib import contents
from aira_lib.contents import file_digest, folder_digest
from aira_lib.errors import UserError


@pytest.fixture
def reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Which files were read whole."""
    read: list[str] = []
    real = hashlib.file_digest
    monkeypatch.setattr(hashlib, "file_digest", lambda file, kind: (read.append(file.name), real(file, kind))[1])
    monkeypatch.setattr(contents, "WORTH_REMEMBERING", 1)
    monkeypatch.setattr(contents, "_SETTLED_NS", 0)
    monkeypatch.setenv("AIRA_SCRATCH", str(tmp_path / "scratch"))
    return read


def test_a_file_is_read_once_until_it_changes(reads: list[str], tmp_path: Path) -> None:
    path = tmp_path / "text.jsonl"
    path.write_text("one")
    assert file_digest(path) == hashlib.sha256(b"one").hexdigest()
    assert file_digest(path) == hashlib.sha256(b"one").hexdigest()
    assert reads == [str(path)]
    os.replace(_written(tmp_path / "new", "two", path.stat().st_mtime_ns), path)  # as long, and as old
    assert file_digest(path) == hashlib.sha256(b"two").hexdigest()
    assert reads == [str(path)] * 2


def _written(path: Path, text: str, time_ns: int) -> Path:
    path.write_text(text)
    os.utime(path, ns=(time_ns, time_ns))
    return path


def test_what_has_just_been_written_is_not_remembered(
    reads: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be written again within the same tick of the file system's clock."""
    monkeypatch.setattr(contents, "_SETTLED_NS", 10**12)
    path = tmp_path / "text.jsonl"
    path.write_text("one")
    file_digest(path)
    file_digest(path)
    assert len(reads) == 2


def test_a_digest_says_what_a_folder_holds_not_where_it_lies(tmp_path: Path) -> None:
    for folder, text in (("a", "x"), ("b", "x"), ("c", "y")):
        (tmp_path / folder / "deep").mkdir(parents=True)
        (tmp_path / folder / "deep" / "file").write_text(text)
    a, b, c = (folder_digest(tmp_path / name) for name in "abc")
    assert a == b != c


def test_a_file_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"gone: No such file or directory; what it holds is part of a key"):
        file_digest(tmp_path / "gone")
    with pytest.raises(UserError, match="a key needs all files of"):
        folder_digest(tmp_path / "gone")
