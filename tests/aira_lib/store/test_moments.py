"""What happens around the moments at which a record is committed, lost or taken over."""

from pathlib import Path

import pytest

from aira_lib.errors import StoreError
from aira_lib.store import LostClaim, RecordFolder, open_store
from tests.aira_lib.store.test_record_folder import MANIFEST, again, names, stop_beating


@pytest.fixture
def folder(store_uri: str) -> RecordFolder:
    return RecordFolder(open_store(store_uri), "study/search/a-1")


def begun(folder: RecordFolder, scratch: Path, names: str) -> None:
    """An attempt that pushed some files and was interrupted."""
    with folder.claim(scratch) as attempt:
        assert attempt
        for name in names:
            (attempt.path / name).write_text(name)
            attempt.push(name)


def test_a_store_that_is_away_after_the_commit_costs_no_record(
    s3_uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Clearing away an earlier attempt failed, and the winner's files were removed below its own manifest."""
    folder = RecordFolder(open_store(s3_uri), "r")
    begun(folder, tmp_path, "a")
    remove = type(folder.store).remove

    def away(self: object, name: str) -> None:
        if name.startswith("r/1-"):
            raise StoreError("the store is away")
        remove(self, name)  # type: ignore[arg-type]

    with monkeypatch.context() as patched, again(folder).claim(tmp_path) as attempt:
        assert attempt
        patched.setattr(type(folder.store), "remove", away)
        attempt.commit(MANIFEST)
    assert (again(folder).fetch(tmp_path / "new") / "a").read_text() == "a"


def test_a_commit_whose_answer_is_lost_counts(
    folder: RecordFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = type(folder.store).create

    def lost(self: object, name: str, data: bytes) -> bool:
        create(self, name, data)  # type: ignore[arg-type]
        raise StoreError("the answer is lost")

    with monkeypatch.context() as patched, folder.claim(tmp_path) as attempt:
        assert attempt
        patched.setattr(type(folder.store), "create", lost)
        (attempt.path / "a").write_text("1")
        attempt.commit(MANIFEST)
    assert (again(folder).fetch(tmp_path / "new") / "a").read_text() == "1"


def test_a_holder_that_lost_leaves_its_files_to_who_takes_over(s3_uri: str, tmp_path: Path) -> None:
    """It woke up before its successor had copied them, and removed them: all that was pushed was gone."""
    slow = RecordFolder(open_store(s3_uri), "r")
    with pytest.raises(LostClaim), slow.claim(tmp_path / "slow", seconds=0.4) as first:  # noqa: PT012
        assert first
        (first.path / "journal").write_text("1, 2, 3")
        first.push("journal")
        stop_beating(first)
        slow.store.remove("r/lease")
        first._held.confirm()
        first.push("journal")
    with again(slow).claim(tmp_path / "quick") as second:
        assert second
        assert (second.path / "journal").read_text() == "1, 2, 3"


def test_who_dies_while_taking_over_loses_nothing_for_the_next(
    s3_uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a copy was taken for the last attempt, and the whole one before it removed."""
    folder = RecordFolder(open_store(s3_uri), "r")
    begun(folder, tmp_path, "ab")
    copy = type(folder.store).copy  # type: ignore[attr-defined]

    def dies(self: object, name: str, to: str) -> None:
        if name.endswith("/b"):
            raise KeyboardInterrupt
        copy(self, name, to)

    with monkeypatch.context() as patched:
        patched.setattr(type(folder.store), "copy", dies)
        with pytest.raises(KeyboardInterrupt), again(folder).claim(tmp_path):
            pass
    # Who looks on sees the whole one, too.
    assert len(folder.store.list(again(folder).files())) == 2
    with again(folder).claim(tmp_path / "third") as attempt:
        assert attempt
        assert sorted(path.name for path in attempt.path.iterdir()) == ["a", "b"]
        attempt.commit(MANIFEST)
    assert names(folder) == ["3/a", "3/b", "manifest.json"]


def test_a_beat_whose_answer_is_lost_is_no_loss(s3_uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next beat met an object that it took for another's, and a search of hours did not count."""
    folder = RecordFolder(open_store(s3_uri), "r")
    write_if = type(folder.store).write_if  # type: ignore[attr-defined]

    def lost(self: object, name: str, data: bytes, tag: str | None) -> None:
        write_if(self, name, data, tag)
        raise StoreError("no answer")

    with folder.claim(tmp_path, seconds=60) as attempt:
        assert attempt
        with monkeypatch.context() as patched:
            patched.setattr(type(folder.store), "write_if", lost)
            with pytest.raises(StoreError):
                attempt._held.confirm()
        assert attempt._held.confirm()
        attempt.commit(MANIFEST)
    assert names(folder) == ["manifest.json"]
