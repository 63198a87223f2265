"""Folders of ranks lie below AIRA_SCRATCH, and do not outlive a kill for long."""

from pathlib import Path

import pytest

from aira_lib.study import ResourcesAtScale
from aira_lib.training import together
from aira_lib.training.told_folder import told_folder
from tests.aira_lib.training import tiny
from tests.builders import work_in


def test_what_a_killed_process_left_goes_and_what_is_in_use_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRA_SCRATCH", str(tmp_path))
    left = tmp_path / "ranks" / "left"
    left.mkdir(parents=True)
    (left / "spec.json").write_text("{}")
    with told_folder() as first, told_folder() as second:
        assert not left.exists()
        assert first != second
        assert sorted((tmp_path / "ranks").iterdir()) == sorted([first, second])
    assert not list((tmp_path / "ranks").iterdir())


def test_ranks_are_told_below_scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class _Told(Exception):
        pass

    def found(study: str, point: object, resources: object, spec: Path, token: str) -> None:
        assert spec.exists()
        assert spec.is_relative_to(tmp_path)
        raise _Told

    monkeypatch.setenv("AIRA_SCRATCH", str(tmp_path))
    monkeypatch.setattr(together, "ranks_job", found)
    with pytest.raises(_Told):
        together.train_together(
            tiny.section(trainer="ddp"), tiny.point(1), work_in(tmp_path / "run"), ResourcesAtScale(ranks_per_node=2)
        )
    assert not list((tmp_path / "ranks").iterdir())
