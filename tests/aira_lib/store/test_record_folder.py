"""A record exists once its manifest does, whole and verified, on both kinds of store; one maker at a time."""

import hashlib
import shutil
from pathlib import Path

import pytest

from aira_lib.errors import StoreError
from aira_lib.records import FileEntry, Manifest
from aira_lib.store import LostClaim, RecordFolder, open_store

MANIFEST = Manifest(stage="search", version=1, unit="a.s0", key="k", study="s", spec_digest="d", section={"seed": 0})


@pytest.fixture
def folder(store_uri: str) -> RecordFolder:
    return RecordFolder(open_store(store_uri), "study/search/a-1")


def again(folder: RecordFolder) -> RecordFolder:
    """The same record as a new process sees it."""
    return RecordFolder(open_store(folder.store.uri), folder.prefix)


def write(path: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(text)


def commit_files(folder: RecordFolder, scratch: Path, files: dict[str, str]) -> Manifest:
    with folder.claim(scratch) as attempt:
        assert attempt
        write(attempt.path, files)
        return attempt.commit(MANIFEST)


def names(folder: RecordFolder) -> list[str]:
    """What lies in the store of a record, attempts by their numbers."""
    found = (name[len(folder.prefix) + 1 :] for name in folder.store.list(folder.prefix))
    return [f"{name.partition('-')[0]}/{name.partition('/')[2]}" if "-" in name else name for name in found]


def test_a_record_holds_all_files_of_its_attempt(folder: RecordFolder, tmp_path: Path) -> None:
    with folder.claim(tmp_path / "s", views=("page.html",)) as attempt:
        assert attempt
        assert folder.manifest() is None
        written = ("journal.jsonl", "deep/er/x.bin", "empty", ".half.tmp", "page.html", "b.tmp/inside")
        write(attempt.path, {name: "" if name == "empty" else name for name in written})
        (attempt.path / "link").symlink_to("/etc/hostname")
        attempt.push("page.html")
        made = attempt.commit(MANIFEST)
    assert [entry.name for entry in made.files] == ["deep/er/x.bin", "empty", "journal.jsonl"]
    assert [entry.bytes for entry in made.files] == [13, 0, 13]
    assert made.files[1].sha256 == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert again(folder).manifest() == made
    assert made.model_copy(update={"files": (), "attempt": ""}) == MANIFEST
    assert folder.store.read(f"{folder.prefix}/page.html") == b"page.html"
    assert not folder.store.exists(f"{folder.prefix}/lease")

    got = again(folder).fetch(tmp_path / "other")
    assert (got / "deep/er/x.bin").read_text() == "deep/er/x.bin"
    assert (got / "empty").read_text() == ""
    if got.is_relative_to(tmp_path / "other"):
        assert sorted(p.name for p in got.rglob("*") if p.is_file()) == ["empty", "journal.jsonl", "x.bin"]


def test_a_file_that_others_wrote_for_a_record_is_adopted_and_their_folder_goes(
    folder: RecordFolder, tmp_path: Path
) -> None:
    with folder.claim(tmp_path / "s") as attempt:
        assert attempt
        shared = open_store(attempt.shared)
        shared.write("checkpoints/1/model", b"weights")
        shared.write("checkpoints/1/model", b"weights anew")
        shared.write("told", b"much")
        data = b"weights anew"
        attempt.adopt(FileEntry(name="checkpoints/1/model", bytes=len(data), sha256=hashlib.sha256(data).hexdigest()))
        shared.write("checkpoints/1/model", b"of later")  # what is adopted does not change any more
        write(attempt.path, {"a": "own"})
        made = attempt.commit(MANIFEST)
    assert [entry.name for entry in made.files] == ["a", "checkpoints/1/model"]
    assert names(folder) == ["1/a", "1/checkpoints/1/model", "manifest.json"]
    assert (again(folder).fetch(tmp_path / "other") / "checkpoints/1/model").read_bytes() == data


def test_a_finished_record_is_not_made_again(folder: RecordFolder, tmp_path: Path) -> None:
    commit_files(folder, tmp_path / "s", {"a": "1"})
    with again(folder).claim(tmp_path / "s") as attempt:
        assert attempt is None
    folder.store.remove(folder.prefix)
    assert folder.manifest() is None
    assert commit_files(again(folder), tmp_path / "s", {"a": "2"}).files[0].bytes == 1


def test_what_was_pushed_survives_a_lost_scratch_folder(folder: RecordFolder, tmp_path: Path) -> None:
    with folder.claim(tmp_path / "s") as attempt:
        assert attempt
        (attempt.path / "deep").mkdir()
        for text in ("1", "1, 2"):
            (attempt.path / "deep/journal").write_text(text)
            attempt.push("deep/journal")
        (attempt.path / "gone").write_text("x")
        attempt.push("gone")
        (attempt.path / "gone").unlink()
        attempt.push("gone")
        attempt.push("never-was")
    shutil.rmtree(tmp_path / "s", ignore_errors=True)
    with again(folder).claim(tmp_path / "s") as resumed:
        assert resumed
        assert (resumed.path / "deep/journal").read_text() == "1, 2"
        assert not (resumed.path / "gone").exists()
        assert [entry.name for entry in resumed.commit(MANIFEST).files] == ["deep/journal"]


def test_an_attempt_elsewhere_is_what_the_store_holds(s3_uri: str, tmp_path: Path) -> None:
    """Another machine went on since; what this one left behind must not mix with it."""
    here = RecordFolder(open_store(s3_uri), "r")
    with here.claim(tmp_path / "here") as attempt:
        assert attempt
        (attempt.path / "journal").write_text("1, 2 not pushed")
    with again(here).claim(tmp_path / "there") as attempt:
        assert attempt
        (attempt.path / "journal").write_text("1, 2, 3")
        attempt.push("journal")
    with again(here).claim(tmp_path / "here") as attempt:
        assert attempt
        assert (attempt.path / "journal").read_text() == "1, 2, 3"


def test_two_stores_share_no_scratch(s3_uri: str, tmp_path: Path) -> None:
    """Two stores with one study name: the second removed the first's journal, which was not pushed yet."""
    with RecordFolder(open_store(s3_uri), "r").claim(tmp_path) as first:
        assert first
        (first.path / "journal").write_text("not pushed yet")
        with RecordFolder(open_store(s3_uri + "-too"), "r").claim(tmp_path) as second:
            assert second
            assert not second.path.is_relative_to(first.path.parent)
        assert (first.path / "journal").read_text() == "not pushed yet"


def test_commit_uploads_only_what_changed_and_drops_what_left(
    s3_uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = RecordFolder(open_store(s3_uri), "r")
    with folder.claim(tmp_path) as attempt:
        assert attempt
        for name in ("same", "changed", "left"):
            (attempt.path / name).write_text(name)
            attempt.push(name)
    resumed = again(folder)
    puts: list[str] = []
    put = type(resumed.store).put
    monkeypatch.setattr(type(resumed.store), "put", lambda self, path, name: (puts.append(name), put(self, path, name)))
    with resumed.claim(tmp_path) as attempt:
        assert attempt
        (attempt.path / "changed").write_text("CHANGED")
        (attempt.path / "new").write_text("new")
        (attempt.path / "left").unlink()
        attempt.commit(MANIFEST)
    assert [name.rpartition("/")[2] for name in puts] == ["changed", "new"]
    assert names(resumed) == ["2/changed", "2/new", "2/same", "manifest.json"]


def test_leftovers_of_a_crash_go(tmp_path: Path) -> None:
    folder = RecordFolder(open_store(str(tmp_path / "runs")), "r")
    left = tmp_path / "runs" / "r" / "1-01234567"
    write(left, dict.fromkeys((".0123.tmp", "deep/.4567.tmp", "folder.tmp/x", "journal"), ""))
    with folder.claim(tmp_path / "s") as attempt:
        assert attempt
        assert [p.name for p in attempt.path.rglob("*") if p.is_file()] == ["journal"]
        assert not (attempt.path / "folder.tmp").exists()


def test_damage_is_found(folder: RecordFolder, tmp_path: Path) -> None:
    made = commit_files(folder, tmp_path / "s", {"a": "right", "b": "b"})
    folder.store.write(f"{folder.prefix}/{made.attempt}/a", b"wrong")
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
    (folder.fetch(tmp_path / "s") / "a").write_text("wrong")
    assert (again(folder).fetch(tmp_path / "s") / "a").read_text() == "right"


def test_fetching_what_is_not_there(folder: RecordFolder, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no finished record there"):
        folder.fetch(tmp_path / "s")
    commit_files(folder, tmp_path / "s", {"journal.jsonl": ""})
    with pytest.raises(StoreError, match=r"no file 'journal.json'; did you mean 'journal.jsonl'"):
        folder.fetch(tmp_path / "s", only=["journal.json"])


def test_a_file_store_works_in_place(tmp_path: Path) -> None:
    folder = RecordFolder(open_store(str(tmp_path / "runs")), "r")
    with folder.claim(tmp_path / "s") as attempt:
        assert attempt
        assert attempt.path == tmp_path / "runs" / "r" / attempt.name
        (attempt.path / "a").write_text("1")
        attempt.commit(MANIFEST)
    assert folder.fetch(tmp_path / "s") == attempt.path
    assert not (tmp_path / "s").exists()


def test_a_record_without_attempts_is_read(folder: RecordFolder, tmp_path: Path) -> None:
    """Its files lie beside the manifest, as earlier versions left them."""
    made = commit_files(folder, tmp_path / "s", {"a": "1"})
    folder.store.remove(f"{folder.prefix}/{made.attempt}")
    folder.store.write(f"{folder.prefix}/a", b"1")
    old = made.model_copy(update={"attempt": ""})
    folder.store.write(f"{folder.prefix}/manifest.json", old.json_line().encode())
    assert (again(folder).fetch(tmp_path / "new") / "a").read_text() == "1"


def test_prefixes_cannot_escape(tmp_path: Path) -> None:
    with pytest.raises(StoreError):
        RecordFolder(open_store(str(tmp_path)), "../r")


# --- one maker a record -----------------------------------------------------------------------------------------------


def test_the_second_is_told_who_makes_it_and_adopts_the_record(folder: RecordFolder, tmp_path: Path) -> None:
    heard: list[str] = []

    def waiting(holder: object) -> None:
        heard.append(str(holder))
        if len(heard) == 2:
            first.commit(MANIFEST)

    with folder.claim(tmp_path / "s") as first:
        assert first
        (first.path / "a").write_text("first")
        with again(folder).claim(tmp_path / "t", waiting=waiting) as second:
            assert second is None
    assert all("process" in line and "since 20" in line for line in heard)
    assert (again(folder).fetch(tmp_path / "u") / "a").read_text() == "first"


def stop_beating(attempt: object) -> None:
    """Its machine stands still: the lease is not renewed any more."""
    attempt._held._over.set()  # type: ignore[attr-defined]


def test_a_slow_holder_in_s3_cannot_commit_over_its_successor(s3_uri: str, tmp_path: Path) -> None:
    """Both believe that they make the record."""
    slow, quick = RecordFolder(open_store(s3_uri), "r"), RecordFolder(open_store(s3_uri), "r")
    with pytest.raises(LostClaim), slow.claim(tmp_path / "slow", seconds=0.4) as first:  # noqa: PT012
        assert first
        (first.path / "a").write_text("slow")
        first.push("a")
        stop_beating(first)
        with quick.claim(tmp_path / "quick", seconds=0.4) as second:
            assert second
            assert (second.path / "a").read_text() == "slow"  # it goes on from what was pushed
            (second.path / "a").write_text("quick")
            second.commit(MANIFEST)
        first.commit(MANIFEST)
    assert (again(slow).fetch(tmp_path / "got") / "a").read_text() == "quick"
    assert names(slow) == ["2/a", "manifest.json"]


def test_a_slow_holder_that_commits_first_has_won(s3_uri: str, tmp_path: Path) -> None:
    """Its successor took its files over, and they are all still there; the successor's own do not count."""
    slow, quick = RecordFolder(open_store(s3_uri), "r"), RecordFolder(open_store(s3_uri), "r")
    with slow.claim(tmp_path / "slow", seconds=0.4) as first:
        assert first
        (first.path / "a").write_text("slow")
        first.push("a")
        stop_beating(first)
        with pytest.raises(LostClaim), quick.claim(tmp_path / "quick", seconds=0.4) as second:  # noqa: PT012
            assert second
            first._held.confirm = lambda: True  # type: ignore[method-assign]  # it had asked just before
            first.commit(MANIFEST)
            second.commit(MANIFEST)
    assert (again(slow).fetch(tmp_path / "got") / "a").read_text() == "slow"


def test_files_stay_for_the_next_when_a_maker_fails(folder: RecordFolder, tmp_path: Path) -> None:
    def fails() -> None:
        with folder.claim(tmp_path / "s") as attempt:
            assert attempt
            (attempt.path / "journal").write_text("1")
            attempt.push("journal")
            raise ZeroDivisionError

    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            fails()
    with again(folder).claim(tmp_path / "s") as attempt:
        assert attempt
        assert (attempt.path / "journal").read_text() == "1"
        attempt.commit(MANIFEST)
    assert names(folder) == ["4/journal", "manifest.json"]
