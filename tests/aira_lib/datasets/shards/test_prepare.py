"""Preparing shards: what is in them, for any number of processes, after a kill, and what is refused."""

import gzip
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from aira_lib.datasets.shards.folder import opened_shard, read_manifest, verify
from aira_lib.datasets.shards.inputs import Piece, find_inputs
from aira_lib.datasets.shards.manifest import ShardManifest
from aira_lib.datasets.shards.part import Seen
from aira_lib.datasets.shards.plan import Preparation
from aira_lib.datasets.shards.prepare import Progress, prepare
from aira_lib.datasets.shards.tokenizer import tokenizer_of
from aira_lib.errors import UserError
from aira_lib.store import open_store
from tests.aira_lib.datasets.shards.texts import documents, lines, write_tokenizer

TEXTS = documents(300)


def silent(progress: Progress) -> None:
    pass


def prepared(places: Path | str, output: Path | str, processes: int = 1, **settings: Any) -> ShardManifest:
    asked = Preparation((str(places),), **{"validation_one_in": 10, **settings})
    return prepare(asked, str(output), processes, silent).manifest


def texts_of(output: Path | str, split: Any) -> list[str]:
    """The documents of a split, decoded one by one."""
    store = open_store(str(output))
    manifest = read_manifest(store)
    name = str(Path(str(output)) / "tokenizer.json")
    tokenizer = tokenizer_of("bytes" if manifest.tokenizer.name == "bytes" else name)
    found = []
    for shard in manifest.splits[split].shards:
        with opened_shard(store, shard.name, manifest.type) as (ids, lengths):
            ends = np.cumsum(lengths)
            assert (ids[ends - 1] == manifest.tokenizer.end).all()
            found += [tokenizer.decode(ids[end - n : end]) for n, end in zip(lengths, ends, strict=True)]
    return found


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def held_out(text: str, one_in: int = 10) -> bool:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") % one_in == 0


def write_zst(path: Path, data: bytes) -> None:
    with pa.output_stream(str(path), compression="zstd") as stream:
        stream.write(data)


def write_parquet(path: Path, texts: list[str]) -> None:
    pq.write_table(pa.table({"text": texts, "n": range(len(texts))}), path, row_group_size=40)


FORMS = {
    "a.jsonl": lambda path: path.write_bytes(lines(TEXTS)),
    "a.json.gz": lambda path: path.write_bytes(gzip.compress(lines(TEXTS))),
    "a.jsonl.zst": lambda path: write_zst(path, lines(TEXTS)),
    "a.parquet": lambda path: write_parquet(path, TEXTS),
    "a.txt": lambda path: path.write_text("\n".join(map(json.dumps, TEXTS))),
    "a.txt.gz": lambda path: path.write_bytes(gzip.compress("\n".join(map(json.dumps, TEXTS)).encode())),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_documents_in_order_split_by_content(form: str, tmp_path: Path) -> None:
    FORMS[form](tmp_path / form)
    manifest = prepared(tmp_path / form, tmp_path / "out", shard_tokens=20_000)
    train, validation = texts_of(tmp_path / "out", "train"), texts_of(tmp_path / "out", "validation")
    assert train == [text for text in TEXTS if not held_out(text)]
    assert validation == [text for text in TEXTS if held_out(text)]
    assert len(manifest.splits["train"].shards) > 3
    assert all(shard.tokens <= 20_000 for shard in manifest.splits["train"].shards)
    assert manifest.splits["train"].text_bytes == sum(len(text.encode()) for text in train)
    assert manifest.splits["train"].tokens == manifest.splits["train"].text_bytes + len(train)
    assert [wrong for _, wrong in verify(open_store(str(tmp_path / "out")), manifest) if wrong] == []


def test_plain_files_are_documents_packed_or_not(tmp_path: Path) -> None:
    for n, text in enumerate(TEXTS[:30]):
        name = tmp_path / "in" / f"{n:03}.{'txt' if n % 2 else 'md'}{'.gz' if n % 3 else ''}"
        name.parent.mkdir(exist_ok=True)
        name.write_bytes(gzip.compress(text.encode()) if n % 3 else text.encode())
    prepared(tmp_path / "in", tmp_path / "out", validation_one_in=0)
    assert texts_of(tmp_path / "out", "train") == TEXTS[:30]


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_parts_of_a_file_hold_each_document_once(form: str, tmp_path: Path) -> None:
    FORMS[f"a.{form}"](tmp_path / f"a.{form}")
    size = (tmp_path / f"a.{form}").stat().st_size
    inputs = find_inputs([str(tmp_path / f"a.{form}")], part_bytes=size // 4)
    assert len(inputs.parts) >= 4
    prepared(tmp_path / f"a.{form}", tmp_path / "out", part_bytes=size // 4, validation_one_in=0)
    assert texts_of(tmp_path / "out", "train") == TEXTS


def test_parts_are_of_whole_small_files_in_order(tmp_path: Path) -> None:
    for n, size in enumerate((10, 10, 25, 3)):
        (tmp_path / f"{n}.txt").write_bytes(b"x" * size)
    found = find_inputs([str(tmp_path)], part_bytes=20).parts
    assert [[Path(piece.place).name for piece in part] for part in found] == [["0.txt", "1.txt"], ["2.txt"], ["3.txt"]]
    assert found[1][0] == Piece(str(tmp_path / "2.txt"), bytes=25)


def test_the_shards_do_not_depend_on_the_number_of_processes(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for n in range(3):
        (tmp_path / "in" / f"{n}.jsonl").write_bytes(lines(documents(80, seed=n)))
    name = write_tokenizer(tmp_path, "llama")
    made = []
    for processes in (1, 2, 3):
        prepared(tmp_path / "in", tmp_path / f"out{processes}", processes, tokenizer=name, part_bytes=15_000)
        made.append(files_of(tmp_path / f"out{processes}"))
    assert made[0] == made[1] == made[2]
    assert len(json.loads(made[0]["manifest.json"])["splits"]["train"]["shards"]) > 3
    assert sorted(texts_of(tmp_path / "out1", "train") + texts_of(tmp_path / "out1", "validation")) == sorted(
        text for n in range(3) for text in documents(80, seed=n)
    )


KILLED = """
import os, signal, sys
from aira_lib.datasets.shards.plan import Preparation
from aira_lib.datasets.shards.prepare import prepare
from aira_lib.datasets.shards.writer import ShardWriter
append = ShardWriter._append
def kill(self, ids, lengths):
    append(self, ids, lengths)
    if self._name.startswith("train-00002"):
        self._handle.flush()
        os.kill(os.getpid(), signal.SIGKILL)
ShardWriter._append = kill
asked = Preparation((sys.argv[1],), tokenizer=sys.argv[2], part_bytes=15_000, validation_one_in=10)
prepare(asked, sys.argv[3], 1, lambda progress: None)
"""


def test_a_killed_preparation_goes_on_and_ends_with_the_same_bytes(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(lines(documents(200)))
    name = write_tokenizer(tmp_path, "gpt2")
    settings: dict[str, Any] = {"tokenizer": name, "part_bytes": 15_000}
    prepared(tmp_path / "a.jsonl", tmp_path / "whole", **settings)
    command = [sys.executable, "-c", KILLED, str(tmp_path / "a.jsonl"), name, str(tmp_path / "out")]
    done = subprocess.run(command, check=False)
    assert done.returncode == -signal.SIGKILL
    left = files_of(tmp_path / "out")
    assert "parts/00001.json" in left
    assert "parts/00002.json" not in left
    assert any(name.endswith(".tmp") for name in left), "killed while it wrote"
    with pytest.raises(UserError, match="not all made; run the same aira data prepare again"):
        read_manifest(open_store(str(tmp_path / "out")))
    finished = (tmp_path / "out" / "train-00001-000.bin").stat().st_ino
    prepared(tmp_path / "a.jsonl", tmp_path / "out", **settings)
    assert files_of(tmp_path / "out") == files_of(tmp_path / "whole")
    assert (tmp_path / "out" / "train-00001-000.bin").stat().st_ino == finished, "what was done was not done again"


def test_a_second_run_finds_all_there_and_other_settings_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(lines(TEXTS))
    asked = Preparation((str(tmp_path / "a.jsonl"),), validation_one_in=10)
    first = prepare(asked, str(tmp_path / "out"), 1, silent)
    before = files_of(tmp_path / "out")
    again = prepare(asked, str(tmp_path / "out"), 1, silent)
    assert (first.already, again.already, again.manifest) == (False, True, first.manifest)
    assert files_of(tmp_path / "out") == before
    for settings, words in (
        ({"validation_one_in": 20}, "validation_one_in 10, not 20"),
        ({"shard_tokens": 5000}, "shard_tokens 134217728, not 5000"),
        ({"tokenizer": write_tokenizer(tmp_path, "gpt2")}, "tokenizer bytes, not gpt2.json"),
    ):
        with pytest.raises(UserError, match=words):
            prepared(tmp_path / "a.jsonl", tmp_path / "out", **settings)
    (tmp_path / "a.jsonl").write_bytes(lines(TEXTS[:-1]))
    with pytest.raises(UserError, match=r"a\.jsonl has changed since"):
        prepared(tmp_path / "a.jsonl", tmp_path / "out")


def test_what_is_begun_is_not_mixed_with_what_is_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aira_lib.datasets.shards.estimate.SAMPLE_BYTES", 1000)
    (tmp_path / "a.jsonl").write_bytes(lines(TEXTS) + b"{broken\n")
    with pytest.raises(UserError, match=r"a\.jsonl:301: not a line of JSON"):
        prepared(tmp_path / "a.jsonl", tmp_path / "out", part_bytes=30_000)
    before = files_of(tmp_path / "out")
    assert "parts/00000.json" in before
    (tmp_path / "a.jsonl").write_bytes(lines(TEXTS))
    with pytest.raises(UserError, match=r"a\.jsonl has changed since"):
        prepared(tmp_path / "a.jsonl", tmp_path / "out", part_bytes=30_000)
    assert files_of(tmp_path / "out") == before


def test_equal_documents_are_taken_once_and_counted(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(lines([*TEXTS, *TEXTS[:50], "  ", ""]))
    manifest = prepared(tmp_path / "a.jsonl", tmp_path / "out")
    assert sorted(texts_of(tmp_path / "out", "train") + texts_of(tmp_path / "out", "validation")) == sorted(TEXTS)
    assert (manifest.source["documents_read"], manifest.source["duplicates_dropped"]) == (350, 50)


def test_keys_are_remembered_beyond_what_is_recent() -> None:
    seen = Seen(most=70_000)
    assert all(seen.new(key * 7919) for key in range(80_000))
    assert not any(seen.new(key * 7919) for key in range(70_000))
    assert seen.new(79_999 * 7919), "beyond its limit a key counts as new"


def test_equal_documents_never_lie_in_both_splits_even_of_several_parts(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(lines(TEXTS * 3))
    prepared(tmp_path / "a.jsonl", tmp_path / "out", part_bytes=50_000, validation_tokens=3_000)
    train, validation = (set(texts_of(tmp_path / "out", split)) for split in ("train", "validation"))
    assert not train & validation
    assert train == {text for text in TEXTS if not held_out(text)}, "what is above the limit is not trained on"
    assert validation < {text for text in TEXTS if held_out(text)}


def test_validation_has_a_limit_whatever_the_parts(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(lines(TEXTS))
    manifest = prepared(tmp_path / "a.jsonl", tmp_path / "out", validation_tokens=5_000)
    longest = max(len(text.encode()) + 1 for text in TEXTS)
    assert 5_000 <= manifest.splits["validation"].tokens < 5_000 + longest
    left = sum(map(held_out, TEXTS)) - manifest.splits["validation"].documents
    assert manifest.source["held_out_above_limit"] == left > 0


def test_from_and_to_s3(s3_uri: str, tmp_path: Path) -> None:
    store = open_store(s3_uri)
    (tmp_path / "in").mkdir()
    for n in range(3):
        (tmp_path / "in" / f"{n}.jsonl").write_bytes(lines(documents(60, seed=n)))
        store.put(tmp_path / "in" / f"{n}.jsonl", f"text/{n}.jsonl")
    here = prepared(tmp_path / "in", tmp_path / "out", part_bytes=20_000)
    there = prepared(f"{s3_uri}/text", f"{s3_uri}/shards", part_bytes=20_000)
    train = [text for n in range(3) for text in documents(60, seed=n) if not held_out(text)]
    assert texts_of(f"{s3_uri}/shards", "train") == texts_of(tmp_path / "out", "train") == train
    assert here.source["text_sha256"] != there.source["text_sha256"] or here.source["parts"] == there.source["parts"]
    remote = open_store(f"{s3_uri}/shards")
    assert [wrong for _, wrong in verify(remote, there) if wrong] == []
    assert not [name for name in remote.list() if name.startswith("parts/")]


def test_a_plain_file_that_is_long_is_several_documents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aira_lib.datasets.shards.inputs.LONGEST_DOCUMENT", 1000)
    text = "".join(f"line {n} of a long book\n" for n in range(500))
    (tmp_path / "book.txt").write_text(text)
    prepared(tmp_path / "book.txt", tmp_path / "out", validation_one_in=0)
    found = texts_of(tmp_path / "out", "train")
    assert "".join(found) == text
    assert all(1000 <= len(part) <= 1030 for part in found[:-1])
    assert all(part.endswith("\n") for part in found)


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("a.jsonl", lines(TEXTS[:2]) + b"{broken\n", r"a\.jsonl:3: not a line of JSON.*; mend it, or leave"),
        ("a.jsonl", b'{"content": "x"}\n', r"a\.jsonl:1: .*no text in field 'text'"),
        (
            "a.jsonl.gz",
            gzip.compress(lines(TEXTS))[:-200],
            r"a\.jsonl\.gz:\d+: cannot be read any further \(Trunc.*put a whole copy",
        ),
        ("a.txt.gz", b"not gzip at all, but long enough", r"a\.txt\.gz: cannot be read"),
        ("a.txt", b"\xff\xfe\xff", "not UTF-8"),
        ("a.parquet", b"not parquet", "cannot be read as Parquet"),
        ("a.csv", b"a,b\n", "not a known kind"),
    ],
)
def test_inputs_that_cannot_be_read_are_one_line(name: str, data: bytes, says: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(UserError, match=says) as error:
        prepared(tmp_path / name, tmp_path / "out")
    assert "\n" not in str(error.value)


def test_a_broken_line_in_a_later_part_is_named_by_its_number_in_the_file(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(lines(TEXTS[:150]) + b"{broken\n" + lines(TEXTS[150:]))
    with pytest.raises(UserError, match=r"a\.jsonl:151: not a line of JSON"):
        prepared(tmp_path / "a.jsonl", tmp_path / "out", processes=2, part_bytes=30_000)


def test_a_missing_column_is_named_with_those_that_are_there(tmp_path: Path) -> None:
    write_parquet(tmp_path / "a.parquet", TEXTS)
    with pytest.raises(UserError, match="no column 'content'; columns: text, n"):
        prepared(tmp_path / "a.parquet", tmp_path / "out", text_field="content")


def test_places_that_cannot_be_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.jsonl").write_bytes(lines(TEXTS[:20]))
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter.doc").write_text("mine")
    for output, words in (("full", r"has other things in it, such as letter\.doc"), ("in/out", "which is read")):
        with pytest.raises(UserError, match=words):
            prepared(tmp_path / "in", tmp_path / output)
    with pytest.raises(UserError, match="no such file"):
        prepared(tmp_path / "nowhere", tmp_path / "out")
    with pytest.raises(UserError, match=r"nope\.json"):
        prepared(tmp_path / "in", tmp_path / "out", tokenizer=str(tmp_path / "nope.json"))
    with pytest.raises(UserError, match="no text in field 'body'"):
        prepared(tmp_path / "in", tmp_path / "out", text_field="body")
    assert sorted(files_of(tmp_path)) == ["full/letter.doc", "in/a.jsonl"]
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["letter.doc"], "nor is a folder made"
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("wrong", [lines(TEXTS) + b"{broken\n", b'{"text": ""}\n'], ids=["broken", "empty"])
def test_what_left_nothing_made_does_not_stand_in_the_way(
    wrong: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aira_lib.datasets.shards.estimate.SAMPLE_BYTES", 1000)
    (tmp_path / "a.jsonl").write_bytes(wrong)
    with pytest.raises(UserError, match=r"not a line of JSON|no document is left"):
        prepared(tmp_path / "a.jsonl", tmp_path / "out", shard_tokens=5000)
    assert (tmp_path / "out" / "parts" / "plan.json").exists()
    (tmp_path / "a.jsonl").write_bytes(lines(TEXTS[:40]))
    made = prepared(tmp_path / "a.jsonl", tmp_path / "out", shard_tokens=900_000)
    assert made == prepared(tmp_path / "a.jsonl", tmp_path / "fresh", shard_tokens=900_000)
    assert sorted(files_of(tmp_path / "out")) == sorted(files_of(tmp_path / "fresh"))


def test_shards_without_training_text_are_none(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(lines(["", "  "]))
    with pytest.raises(UserError, match="no document is left for training of 0 in the inputs"):
        prepared(tmp_path / "a.jsonl", tmp_path / "out")
    with pytest.raises(UserError, match="would hold out every document"):
        prepared(tmp_path / "a.jsonl", tmp_path / "other", validation_one_in=1)
    assert not (tmp_path / "out" / "manifest.json").exists()


def test_a_folder_is_prepared_by_one_at_a_time(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(lines(TEXTS))
    holder = "import sys, time; from aira_lib.store import open_store, Holder\n"
    holder += "held = open_store(sys.argv[1]).take('parts/lock', Holder.here(), 30); print('held', flush=True)\n"
    holder += "sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", holder, str(tmp_path / "out")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(UserError, match=f"being prepared already, by process {other.pid}"):
            prepared(tmp_path / "a.jsonl", tmp_path / "out")
        other.communicate()
    prepared(tmp_path / "a.jsonl", tmp_path / "out")


def test_a_full_disk_is_one_line_and_the_rest_comes_later(small_disk: Path, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(lines(documents(1500)))
    with pytest.raises(UserError, match="no space left on the disk"):
        prepared(tmp_path / "a.jsonl", small_disk / "out", part_bytes=100_000)
    assert not [name for name in files_of(small_disk) if name.endswith(".tmp")]


@pytest.mark.slow
def test_processes_end_with_the_one_that_began_them(tmp_path: Path) -> None:
    fifo = tmp_path / "in" / "a.jsonl"
    fifo.parent.mkdir()
    fifo.write_bytes(lines(documents(2000)))
    program = (
        "import sys\nfrom aira_lib.datasets.shards.prepare import prepare\n"
        "from aira_lib.datasets.shards.plan import Preparation\n"
        "if __name__ == '__main__':\n"
        "    asked = Preparation((sys.argv[1],), part_bytes=10_000)\n"
        "    prepare(asked, sys.argv[2], 2, lambda progress: print(progress.parts_done, flush=True))\n"
    )
    (tmp_path / "program.py").write_text(program)
    command = [sys.executable, str(tmp_path / "program.py"), str(fifo), str(tmp_path / "out")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as running:
        assert running.stdout
        while int(running.stdout.readline() or b"1") < 1:
            pass
        running.kill()
        running.wait()
        for _ in range(200):
            if not _group_lives(running.pid):
                break
            time.sleep(0.05)
        assert not _group_lives(running.pid)


def _group_lives(group: int) -> bool:
    """Whether a process of a group runs; one that ended and that nobody waited for does not."""
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == group and fields[0] != "Z":
            return True
    return False


def test_a_hugging_face_data_set_is_read_in_its_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Rows(list[dict[str, str]]):
        num_shards = 3

        def shard(self, num_shards: int, index: int) -> "Rows":
            return Rows(self[index::num_shards])

    class Hub:
        @staticmethod
        def load_dataset(name: str, config: str | None, split: str, streaming: bool) -> Rows:
            assert (name, config, split, streaming) == ("me/mine", None, "train", True)
            return Rows({"text": text} for text in TEXTS)

    monkeypatch.setitem(sys.modules, "datasets", Hub)  # type: ignore[arg-type]
    monkeypatch.setattr("aira_lib.datasets.text.identity._commit", lambda uri: f"{uri} at a commit")
    manifest = prepared("hf://me/mine", tmp_path / "out", validation_one_in=0)
    assert sorted(texts_of(tmp_path / "out", "train")) == sorted(TEXTS)
    assert manifest.source["parts"] == 3
    assert os.path.exists(tmp_path / "out" / "train-00002-000.bin")
