"""A folder that takes another one's place, where the disk refuses half-way."""

import os
from pathlib import Path

import pytest

from aira_lib.errors import UserError
from aira_lib.exchange.whole_folder import EXPORTED, whole_folder


def write(folder: Path, text: str) -> None:
    for name in EXPORTED:
        (folder / name).write_text(text)


def test_what_was_there_comes_back_where_the_new_one_cannot_take_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    to, rename = tmp_path / "exported", os.rename
    to.mkdir()
    write(to, "old")

    def refuses(source: Path, target: Path) -> None:
        if ".new-" in source.name:
            raise PermissionError(13, "Permission denied", str(source))
        rename(source, target)

    monkeypatch.setattr(os, "rename", refuses)
    with pytest.raises(UserError, match="exported: permission denied"), whole_folder(to, force=True) as folder:
        write(folder, "new")
    assert [path.name for path in tmp_path.iterdir()] == ["exported"]
    assert {(to / name).read_text() for name in EXPORTED} == {"old"}
    monkeypatch.undo()
    with whole_folder(to, force=True) as folder:
        write(folder, "new")
    assert [path.name for path in tmp_path.iterdir()] == ["exported"]
    assert {(to / name).read_text() for name in EXPORTED} == {"new"}
