"""Logs that a server did not take wait for the next command, also where that finds everything done."""

import logging
from pathlib import Path
from typing import Any

import pytest

from aira_lib.local.run import LocalRun, carry_waiting
from aira_lib.settings import Settings
from aira_lib.track import follow
from aira_lib.track.log import TrackLog
from tests.builders import tiny_study


class Server:
    """What MLflow is, as far as a follower sees: up or down, and what it was told."""

    up = False
    made, runs, params, ended = 0, set[str | None](), dict[str, str](), list[str]()

    def __init__(self, *given: Any) -> None:
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
        carry_waiting(run)
    assert "MLflow at http://host:5000: 2 logs have not arrived" in caplog.text
    assert "secret" not in caplog.text
    Server.up = True
    carry_waiting(run)
    assert Server.runs == {"search:k1", "search:k2"}
    assert Server.ended[-1] == "finished"
    assert Server.params["proxy.epochs"] == "1", "studies are compared by their settings"
    asked = Server.made
    carry_waiting(run)
    assert Server.made == asked, "everything has arrived"
    carry_waiting(LocalRun(run.study, run.settings, 1, None))
    assert Server.made == asked
