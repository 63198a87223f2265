"""How the parent run of a study stands when the block that follows a stage's log ends."""

from pathlib import Path
from typing import Any

import pytest

from aira_lib.store import LostClaim
from aira_lib.track import follow
from aira_lib.track.follow import followed


class _Sync:
    stands: list[str] = []

    def __init__(self, *given: Any) -> None:
        self.stands.clear()

    def set_status(self, key: str | None, name: str, status: str) -> None:
        self.stands.append(status)

    def retry_now(self) -> None: ...


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
