"""A record exists once its manifest does, whole and verified, on both kinds of store."""

import shutil
from pathlib import Path

import pytest

from aira_lib.errors import StoreError
from aira_lib.records import Manifest
from aira_lib.store import RecordFolder, open_store

MANIFEST = Manifest(stage="search", version=1, unit="a.s0", key="k", study="s", spec_digest="d", section={"seed": 0})


@pytest.fixture
def folder(store_uri: str) -> RecordFolder:
    return RecordFolder(open_store(store_uri), "study/search/a-1")


def again(folder: RecordFolder) -> RecordFolder:
    """The same record as a new process sees it."""
    return RecordFolder(open_store(folder.store.uri), folder.prefix)


def commit_files(folder: RecordFolder, scratch: Path, files: dict[str, str]) -> Manifest:
    path = folder.workspace(scratch)
    for name, text in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(text)
    return folder.commit(MANIFEST)


def test_a_record_holds_all_files_of_its_workspace(folder: RecordFolder, tmp_path: Path) -> None:
    path = folder.workspace(tmp_path / "s")
    assert folder.manifest() is None
    for name in ("journal.jsonl", "deep/er/x.bin", "empty", ".half.tmp", "cache/c", "notes.txt", "b.tmp/inside"):
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text("" if name == "empty" else name)
    (path / "link").symlink_to("/etc/hostname")
    made = folder.commit(MANIFEST, leave_out=("cache", "notes.txt"))
    assert [entry.name for entry in made.files] == ["deep/er/x.bin", "empty", "journal.jsonl"]
    assert [entry.bytes for entry in made.files] == [13, 0, 13]
    assert made.files[1].sha256 == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert again(folder).manifest() == made
    assert made.model_copy(update={"files": ()}) == MANIFEST

    got = again(folder).fetch(tmp_path / "other")
    assert (got / "deep/er/x.bin").read_text() == "deep/er/x.bin"
    assert (got / "empty").read_text() == ""
    if folder.store.folder(folder.prefix) is None:
        assert sorted(p.name for p in got.rglob("*") if p.is_file()) == ["empty", "journal.jsonl", "x.bin"]


def test_a_finished_record_is_not_made_again(folder: RecordFolder, tmp_path: Path) -> None:
    commit_files(folder, tmp_path / "s", {"a": "1"})
    with pytest.raises(StoreError, match="finished; remove it first"):
        folder.commit(MANIFEST)
    with pytest.raises(StoreError, match="finished; remove it first"):
        again(folder).workspace(tmp_path / "s")
    folder.store.remove(folder.prefix)
    assert folder.manifest() is None
    assert commit_files(again(folder), tmp_path / "s", {"a": "2"}).files[0].bytes == 1


def test_what_was_pushed_survives_a_lost_scratch_folder(folder: RecordFolder, tmp_path: Path) -> None:
    path = folder.workspace(tmp_path / "s")
    (path / "deep").mkdir()
    (path / "deep/journal").write_text("1")
    folder.push("deep/journal")
    (path / "deep/journal").write_text("1, 2")
    folder.push("deep/journal")
    (path / "gone").write_text("x")
    folder.push("gone")
    (path / "gone").unlink()
    folder.push("gone")
    folder.push("never-was")
    shutil.rmtree(tmp_path / "s", ignore_errors=True)
    resumed = again(folder)
    path = resumed.workspace(tmp_path / "s")
    assert (path / "deep/journal").read_text() == "1, 2"
    assert not (path / "gone").exists()
    assert [entry.name for entry in resumed.commit(MANIFEST).files] == ["deep/journal"]


def test_a_workspace_elsewhere_is_what_the_store_holds(s3_uri: str, tmp_path: Path) -> None:
    """Another machine went on since; what this one left behind must not mix with it."""
    here = RecordFolder(open_store(s3_uri), "r")
    (here.workspace(tmp_path / "here") / "journal").write_text("1, 2 not pushed")
    there = again(here)
    (there.workspace(tmp_path / "there") / "journal").write_text("1, 2, 3")
    there.push("journal")
    path = again(here).workspace(tmp_path / "here")
    assert (path / "journal").read_text() == "1, 2, 3"


def test_commit_uploads_only_what_changed_and_drops_what_left(
    s3_uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = RecordFolder(open_store(s3_uri), "r")
    path = folder.workspace(tmp_path)
    for name in ("same", "changed", "left", "log"):
        (path / name).write_text(name)
        folder.push(name)
    resumed = again(folder)
    path = resumed.workspace(tmp_path)
    puts: list[str] = []
    put = type(resumed.store).put
    monkeypatch.setattr(type(resumed.store), "put", lambda self, path, name: (puts.append(name), put(self, path, name)))
    (path / "changed").write_text("CHANGED")
    (path / "new").write_text("new")
    (path / "left").unlink()
    resumed.commit(MANIFEST, leave_out=("log",))
    assert puts == ["r/changed", "r/new"]
    assert resumed.store.list("r") == ["r/changed", "r/log", "r/manifest.json", "r/new", "r/same"]


def test_leftovers_of_a_crash_go(tmp_path: Path) -> None:
    folder = RecordFolder(open_store(str(tmp_path / "runs")), "r")
    for name in ("r/.0123.tmp", "r/deep/.4567.tmp", "r/folder.tmp/x", "r/journal"):
        (tmp_path / "runs" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "runs" / name).write_text("")
    path = folder.workspace(tmp_path / "s")
    assert [p.name for p in path.rglob("*") if p.is_file()] == ["journal"]
    assert not (path / "folder.tmp").exists()


def test_damage_is_found(folder: RecordFolder, tmp_path: Path) -> None:
    commit_files(folder, tmp_path / "s", {"a": "right", "b": "b"})
    folder.store.write(f"{folder.prefix}/a", b"wrong")
    for scratch in ("new", "newer"):
        with pytest.raises(StoreError, match=r"study/search/a-1/a: differs from its manifest"):
            again(folder).fetch(tmp_path / scratch)
    assert (again(folder).fetch(tmp_path / "only", only=["b"]) / "b").read_text() == "b"
    folder.store.write(f"{folder.prefix}/manifest.json", b'{"stage": "search"}')
    with pytest.raises(StoreError, match=r"not a manifest; remove .*study/search/a-1"):
        folder.manifest()


def test_a_damaged_download_is_made_again(s3_uri: str, tmp_path: Path) -> None:
    folder = RecordFolder(open_store(s3_uri), "r")
    commit_files(folder, tmp_path / "s", {"a": "right"})
    (tmp_path / "s/r/a").write_text("wrong")
    assert (again(folder).fetch(tmp_path / "s") / "a").read_text() == "right"


def test_fetching_what_is_not_there(folder: RecordFolder, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no finished record there"):
        folder.fetch(tmp_path / "s")
    commit_files(folder, tmp_path / "s", {"journal.jsonl": ""})
    with pytest.raises(StoreError, match=r"no file 'journal.json'; did you mean 'journal.jsonl'"):
        folder.fetch(tmp_path / "s", only=["journal.json"])


def test_a_file_store_works_in_place(tmp_path: Path) -> None:
    folder = RecordFolder(open_store(str(tmp_path / "runs")), "r")
    assert folder.workspace(tmp_path / "s") == tmp_path / "runs" / "r"
    (tmp_path / "runs/r/a").write_text("1")
    folder.commit(MANIFEST)
    assert folder.fetch(tmp_path / "s") == tmp_path / "runs" / "r"
    assert not (tmp_path / "s").exists()


def test_prefixes_cannot_escape(tmp_path: Path) -> None:
    with pytest.raises(StoreError):
        RecordFolder(open_store(str(tmp_path)), "../r")
