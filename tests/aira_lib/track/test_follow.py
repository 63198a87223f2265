"""How the parent run of a study stands when the block that follows a stage's log ends."""

from pathlib import Path
from typing import Any

import pytest

from aira_lib.store import LostClaim
from aira_lib.track import follow
from aira_lib.track.follow import Carried, Follower, followed
from aira_lib.track.log import RunStatus, TrackLog


class _Sync:
    stands: list[str] = []

    def __init__(self, *given: Any, **named: Any) -> None:
        self.stands.clear()

    def set_status(self, key: str | None, name: str, status: str) -> bool:
        self.stands.append(status)
        return True

    def set_params(self, key: str | None, name: str, values: Any) -> bool:
        return True

    def retry_now(self) -> None: ...

    def sync(self, key: str | None, name: str, log: Path, offset: int) -> int:
        return log.stat().st_size if self.up else offset

    up = True


@pytest.mark.parametrize(
    ("error", "last", "stands"),
    [(None, False, []), (None, True, ["finished"]), (LostClaim, True, []), (RuntimeError, False, ["failed"])],
)
def test_a_record_that_another_has_taken_over_is_no_failure(
    error: type[Exception] | None, last: bool, stands: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follow, "MLflowSync", _Sync)

    def run() -> None:
        with followed("sqlite://", "study", "digest", tmp_path / "track.jsonl", last):
            if error:
                raise error("x")

    if error:
        with pytest.raises(error):
            run()
    else:
        run()
    assert [status for status in _Sync.stands if status != "running"] == stands


def test_logs_that_did_not_arrive_wait_for_the_next_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that found everything done never sent them."""
    monkeypatch.setattr(follow, "MLflowSync", _Sync)
    log = TrackLog(tmp_path / "track.jsonl")
    log.tags({follow.RUN_TAG: "search:k", follow.RUN_NAME_TAG: "search/s"})
    uri = "http://me:secret@host"
    carried = Carried(tmp_path / ".run" / "carried.json", uri)

    def close(up: bool, status: RunStatus, to: Carried = carried) -> int:
        monkeypatch.setattr(_Sync, "up", up)
        return Follower(to.tracking, "s", "digest", lambda: iter([log.path]), carried=to).close(status)

    assert not carried.all_of("digest", [log.path])
    assert close(False, "finished") == 1
    assert not carried.all_of("digest", [log.path])
    assert close(True, "failed") == 0
    assert not carried.all_of("digest", [log.path]), "the end of the study has not arrived"
    assert close(True, "finished") == 0
    assert carried.all_of("digest", [log.path])
    assert not carried.all_of("another study", [log.path])
    assert not Carried(carried.file, "http://elsewhere").all_of("digest", [log.path])
    assert "secret" not in carried.file.read_text()
    log.status("finished")
    assert not carried.all_of("digest", [log.path]), "the log has grown"
    carried.file.write_text("[1")
    assert not carried.all_of("digest", [log.path])
    local = Carried(carried.file, f"sqlite:///{tmp_path}/mlflow.db")
    (tmp_path / "mlflow.db").write_text("")
    assert close(True, "finished", local) == 0
    assert local.all_of("digest", [log.path])
    (tmp_path / "mlflow.db").unlink()
    assert not local.all_of("digest", [log.path]), "its database was removed"
