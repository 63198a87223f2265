"""Logs that a server did not take wait for the next command, also where that finds everything done."""

import logging
import shutil
from pathlib import Path
from typing import Any

import pytest

from aira_lib.flow.units import search_units
from aira_lib.local.run import LocalRun, carry_waiting
from aira_lib.records import Manifest
from aira_lib.settings import Settings
from aira_lib.store import RecordFolder, open_store
from aira_lib.track import follow
from aira_lib.track.log import TrackLog
from tests.builders import tiny_study


class Server:
    """What MLflow is, as far as a follower sees: up or down, and what it was told."""

    up = False
    made, runs, params, ended = 0, set[str | None](), dict[str, str](), list[str]()

    def __init__(self, *given: Any, **named: Any) -> None:
        type(self).made += 1

    def sync(self, key: str | None, name: str, log: Path, offset: int) -> int:
        if not self.up:
            return offset
        self.runs.add(key)
        return log.stat().st_size

    def set_status(self, key: str | None, name: str, status: str) -> bool:
        if self.up:
            self.ended.append(status)
        return self.up

    def set_params(self, key: str | None, name: str, values: dict[str, str]) -> bool:
        if self.up:
            self.params.update(values)
        return self.up

    def retry_now(self) -> None: ...


def test_the_next_command_sends_what_waits_and_then_asks_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(follow, "MLflowSync", Server)
    run = LocalRun(tiny_study(), Settings(store=str(tmp_path)), 1, "http://me:secret@host:5000")
    for number in (1, 2):
        log = TrackLog(tmp_path / "tiny" / "search" / f"u{number}" / "1-x" / "track.jsonl")
        log.tags({follow.RUN_TAG: f"search:k{number}", follow.RUN_NAME_TAG: "s"})
        log.status("finished")
    with caplog.at_level(logging.WARNING):
        carry_waiting(run, ())
    assert "MLflow at http://host:5000: 2 logs have not arrived" in caplog.text
    assert "secret" not in caplog.text
    Server.up = True
    carry_waiting(run, ())
    assert Server.runs == {"search:k1", "search:k2"}
    assert Server.ended[-1] == "finished"
    assert Server.params["proxy.epochs"] == "1", "studies are compared by their settings"
    asked = Server.made
    carry_waiting(run, ())
    assert Server.made == asked, "everything has arrived"
    carry_waiting(LocalRun(run.study, run.settings, 1, None), ())
    assert Server.made == asked


def test_logs_are_found_again_in_the_store_where_the_scratch_folder_is_lost(
    s3_uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follow, "MLflowSync", Server)
    monkeypatch.setattr(Server, "up", True)
    monkeypatch.setattr(Server, "runs", set())
    run = LocalRun(tiny_study(), Settings(store=s3_uri, scratch=tmp_path / "lost"), 1, "http://host:5000")
    units = search_units(run.study)[:2]
    for unit in units:
        with RecordFolder(open_store(s3_uri), unit.folder(run.study)).claim(run.settings.scratch) as attempt:
            assert attempt
            (attempt.path / "large.bin").write_bytes(b"x")
            (attempt.path / "page.html").write_text("a page")
            log = TrackLog(attempt.path / follow.LOG_NAME)
            log.tags({follow.RUN_TAG: f"search:{unit.key}", follow.RUN_NAME_TAG: unit.name})
            log.artifact(attempt.path / "page.html")
            log.status("finished")
            attempt.commit(
                Manifest(
                    stage="search", unit=unit.name, key=unit.key, study="tiny", spec_digest="", section={}, version=1
                )
            )
    shutil.rmtree(tmp_path / "lost")
    carry_waiting(run, [*units, search_units(run.study)[2]])
    assert Server.runs == {f"search:{unit.key}" for unit in units}
    here = sorted(path.name for path in (tmp_path / "lost").rglob("*") if path.parent.parent.parent.name == "search")
    assert here == ["page.html", "page.html", "track.jsonl", "track.jsonl"], "and nothing that no log attaches"
    asked = Server.made
    carry_waiting(run, units)
    assert Server.made == asked, "everything has arrived"
