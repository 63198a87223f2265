import os
from pathlib import Path

import pytest

from aira_lib.sandbox import ArtefactError, collect, discard
from aira_lib.sandbox.artefacts import used_bytes


def test_a_regular_file_is_read_up_to_the_cap(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * 100)
    assert collect(tmp_path, "a", 100) == b"x" * 100
    with pytest.raises(ArtefactError, match="larger than 99 bytes"):
        collect(tmp_path, "a", 99)


def test_everything_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s")
    os.symlink(tmp_path / "secret", tmp_path / "symlink")
    os.link(tmp_path / "secret", tmp_path / "hardlink")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for name in ("symlink", "hardlink", "pipe", "folder", "missing"):
        with pytest.raises(ArtefactError, match=name):
            collect(tmp_path, name, 1000)
    os.symlink(tmp_path, tmp_path / "elsewhere")
    with pytest.raises(ArtefactError, match="work directory"):
        collect(tmp_path / "elsewhere", "secret", 1000)


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "a/b", "..", ""])
def test_only_plain_names_are_asked_for(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="plain file name"):
        collect(tmp_path, name, 1000)


def test_used_bytes_follows_nothing_and_cannot_be_evaded(tmp_path: Path) -> None:
    os.symlink("/", tmp_path / "root")
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "a").write_bytes(b"x" * 100_000)
    assert 100_000 <= used_bytes(tmp_path) < 200_000
    assert used_bytes(tmp_path, max_entries=2) == float("inf")
    assert used_bytes(tmp_path, max_depth=0) == float("inf")
    assert used_bytes(tmp_path / "nowhere") == 0


def test_discard_deletes_what_python_cannot(tmp_path: Path) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    here = os.open(folder, os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("d", dir_fd=here)
        deeper = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = deeper
    os.close(here)
    discard(folder)
    assert not folder.exists()
