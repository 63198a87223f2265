"""Progress files: throttled, whole, and never in the way."""

from itertools import pairwise
from pathlib import Path

import pytest

from aira_lib.track import progress
from aira_lib.track.progress import ProgressFile, read_progress


def test_units_are_read_in_the_order_in_which_they_began(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(progress.time, "time", lambda: now[0])
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_WRITES", 0.0)
    late_name = ProgressFile(tmp_path / "p", "search", "z/../é b.s0")
    now[0] = 101.0
    early_name = ProgressFile(tmp_path / "p", "archive", "all")
    now[0] = 105.0
    late_name.update(3, 12, "best 0.9")
    early_name.fail("disk full; free some", mendable=True)
    first, second = read_progress(tmp_path / "p")
    assert (first.stage, first.unit, first.done, first.total) == ("search", "z/../é b.s0", 3, 12)
    assert (first.note, first.status, first.started, first.updated) == ("best 0.9", "running", 100.0, 105.0)
    assert (second.status, second.error, second.mendable) == ("failed", "disk full; free some", True)
    assert {path.parent for path in tmp_path.rglob("*.json")} == {tmp_path / "p"}
    late_name.finish()
    assert [unit.status for unit in read_progress(tmp_path / "p")] == ["done", "failed"]


def test_updates_are_few_and_the_end_is_always_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, writes = [0.0], []
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock[0])
    replace = progress.os.replace
    monkeypatch.setattr(progress.os, "replace", lambda a, b: (writes.append(clock[0]), replace(a, b)))
    file = ProgressFile(tmp_path, "search", "a")
    for step in range(100):
        clock[0] += 0.01
        file.update(step, 100, "")
    file.finish("reused")
    assert 4 <= len(writes) <= 1 + 1.0 / 0.2 + 1
    assert all(b - a >= 0.2 - 1e-9 for a, b in pairwise(writes[:-1]))
    assert [(unit.done, unit.status) for unit in read_progress(tmp_path)] == [(99, "reused")]


def test_no_folder_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    file = ProgressFile(None, "search", "a")
    file.update(1, 2, "")
    file.finish()
    assert list(tmp_path.iterdir()) == []
    assert read_progress(tmp_path / "absent") == []


def test_a_refusing_disk_does_not_stop_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("kept")
    file = ProgressFile(tmp_path / "file", "search", "a")
    file.update(1, 2, "")
    file.finish()
    file.fail("broken")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_text() == "kept"


def test_files_of_others_are_passed_over(tmp_path: Path) -> None:
    ProgressFile(tmp_path, "search", "a")
    (tmp_path / "torn.json").write_text('{"stage": "se')
    (tmp_path / "newer.json").write_text('{"stage": "search", "unit": "b", "unheard": 1}')
    (tmp_path / ".search.b.json.tmp").write_text("{}")
    assert [unit.unit for unit in read_progress(tmp_path)] == ["a"]
