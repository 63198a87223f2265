"""Reading token shards: the very tokens, whole files only, damage named, a bounded disk, one fetch for many readers."""

import json
import random
import struct
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aira_lib.datasets.batches import ArraySource, Batches
from aira_lib.datasets.shards import stored
from aira_lib.datasets.shards.adopt import adopt
from aira_lib.datasets.shards.source import ShardSource
from aira_lib.datasets.shards.stored import StoredShards
from aira_lib.errors import StoreError, UserError
from aira_lib.settings import scratch_folder
from aira_lib.store import Store, open_store
from aira_lib.store.s3 import S3Store
from tests.aira_lib.datasets.shards.small import END, documents_of_lengths, write_shards

SPLITS = {
    "train": [documents_of_lengths([5, 40, 3], 1), [], documents_of_lengths([9] * 20, 2), documents_of_lengths([2], 3)],
    "validation": [documents_of_lengths([30, 7], 4), documents_of_lengths([11], 5)],
}
TRAIN = np.array(list(chain.from_iterable(chain.from_iterable(SPLITS["train"]))))


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AIRA_SCRATCH", str(tmp_path / "scratch"))
    monkeypatch.setattr(stored, "WAITS", (0.0, 0.0))
    return tmp_path / "scratch"


@pytest.fixture
def uri(store_uri: str, tmp_path: Path) -> str:
    """The shards in a folder and in S3."""
    stored_in(store_uri, write_shards(tmp_path / "made", SPLITS))
    return store_uri


def stored_in(uri: str, folder: Path) -> Store:
    store = open_store(uri)
    for path in folder.iterdir():
        store.put(path, path.name)
    return store


def damage(uri: str, name: str) -> None:
    store = open_store(uri)
    data = bytearray(store.read(name))
    data[len(data) // 2] ^= 1
    store.write(name, bytes(data))


def test_windows_are_those_of_the_concatenated_shards(uri: str) -> None:
    source = ShardSource(StoredShards(uri), "train")
    assert source.n_tokens == len(TRAIN)
    assert source.pieces == (51, 0, 200, 3)
    for length in (1, 17, 60, 254):
        places = np.arange(len(TRAIN) - length + 1)
        assert np.array_equal(source.windows(places, length), TRAIN[places[:, None] + np.arange(length)])
    assert np.array_equal(source.bounds, np.flatnonzero(TRAIN == END) + 1)


@pytest.mark.parametrize("packing", ["across", "masked"])
def test_batches_are_those_of_the_tokens_in_memory(uri: str, packing: Any) -> None:
    shards = Batches(ShardSource(StoredShards(uri), "train"), 16, 4, 5, packing)
    memory = Batches(ArraySource(TRAIN, 300, END), 16, 4, 5, packing)
    for step in range(8):
        one, other = shards.rows(step), memory.rows(step)
        assert np.array_equal(one.inputs, other.inputs)
        assert np.array_equal(one.targets, other.targets)
        assert (one.documents is None) == (packing == "across")
        assert packing == "across" or np.array_equal(one.documents, other.documents)


def test_a_damaged_shard_is_named_and_others_are_read(uri: str) -> None:
    damage(uri, "train-00002.bin")
    source = ShardSource(StoredShards(uri), "train")
    assert np.array_equal(source.windows(np.array([3]), 9)[0], TRAIN[3:12])
    with pytest.raises(UserError, match=r"train-00002\.bin: damaged.*data prepare") as error:
        source.windows(np.array([100]), 9)
    assert "\n" not in str(error.value)
    with pytest.raises(UserError, match=r"train-00002\.bin"):
        source.fetch(lambda *_: None)


def test_a_damaged_index_is_named(uri: str) -> None:
    damage(uri, "validation-00000.idx")
    with pytest.raises(UserError, match=r"validation-00000\.idx: damaged"):
        _ = ShardSource(StoredShards(uri), "validation").bounds


def test_every_flipped_byte_is_noticed(tmp_path: Path) -> None:
    folder = write_shards(tmp_path / "made", SPLITS)
    shard = folder / "train-00000.bin"
    data = shard.read_bytes()
    for place in range(len(data)):
        shard.write_bytes(data[:place] + bytes([data[place] ^ 128]) + data[place + 1 :])
        with pytest.raises(UserError, match="damaged"):
            ShardSource(StoredShards(str(folder)), "train").windows(np.array([0]), 4)


def test_what_arrives_damaged_is_fetched_once_more(
    s3_uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = stored_in(s3_uri, write_shards(tmp_path / "made", SPLITS))
    shards, gets = StoredShards(s3_uri), []

    class Flaky:
        """Refuses the first time, breaks the second, and then does what it should."""

        def __getattr__(self, name: str) -> Any:
            return getattr(store, name)

        def get(self, name: str, path: Path) -> None:
            gets.append(name)
            if len(gets) == 1:
                raise StoreError("slow down")
            store.get(name, path)
            if len(gets) == 2:
                path.write_bytes(path.read_bytes()[:-1] + b"?")

    monkeypatch.setattr(shards, "store", Flaky())
    assert np.array_equal(ShardSource(shards, "train").windows(np.array([0]), 51)[0], TRAIN[:51])
    assert gets == ["train-00000.bin"] * 3


def test_a_store_that_refuses_one_request_in_five_loses_nothing(
    s3_uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored_in(s3_uri, write_shards(tmp_path / "made", SPLITS))
    monkeypatch.setattr(stored, "WAITS", (0.0,) * 6)
    draw, refused = random.Random(1), []
    for name in ("exists", "read", "sizes", "get"):
        original = getattr(S3Store, name)

        def refuses(self: S3Store, *args: Any, original: Any = original) -> Any:
            if draw.random() < 0.2:
                refused.append(original.__name__)
                raise StoreError("503 Slow Down")
            return original(self, *args)

        monkeypatch.setattr(S3Store, name, refuses)
    for number in range(8):
        monkeypatch.setenv("AIRA_SCRATCH", str(tmp_path / f"scratch-{number}"))
        shards = StoredShards(s3_uri)
        shards.check()
        source = ShardSource(shards, "train")
        source.fetch(lambda *_: None)
        assert np.array_equal(source.windows(np.array([0]), len(TRAIN))[0], TRAIN)
    assert {"exists", "get"} <= set(refused)


def test_a_store_that_refuses_for_good_says_so(s3_uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(self: S3Store, name: str) -> bool:
        raise StoreError("403 Forbidden")

    monkeypatch.setattr(S3Store, "exists", refuses)
    with pytest.raises(StoreError, match="403 Forbidden"):
        StoredShards(s3_uri)


def test_a_fetched_shard_is_fetched_once_for_all(s3_uri: str, tmp_path: Path) -> None:
    store = stored_in(s3_uri, write_shards(tmp_path / "made", SPLITS))
    told: list[tuple[int, int, str]] = []
    ShardSource(StoredShards(s3_uri), "train").fetch(lambda *each: told.append(each))
    assert told[-1][:2] == (4, 4)
    for number in range(4):
        store.remove(f"train-{number:05d}.bin")
    again = ShardSource(StoredShards(s3_uri), "train")
    assert np.array_equal(again.windows(np.array([0]), len(TRAIN))[0], TRAIN)


def test_of_several_that_want_a_shard_at_once_one_fetches_it(
    s3_uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored_in(s3_uri, write_shards(tmp_path / "made", SPLITS))
    original, fetched = S3Store.get, []

    def slow(self: S3Store, name: str, path: Path) -> None:
        fetched.append(name)
        time.sleep(0.2)
        original(self, name, path)

    monkeypatch.setattr(S3Store, "get", slow)
    sources = [ShardSource(StoredShards(s3_uri), "train") for _ in range(3)]
    with ThreadPoolExecutor(3) as pool:
        rows = list(pool.map(lambda source: source.windows(np.array([0]), 51), sources))
    assert all(np.array_equal(row[0], TRAIN[:51]) for row in rows)
    assert fetched == ["train-00000.bin"]


def test_files_that_were_fetched_are_known_by_what_they_hold(s3_uri: str, tmp_path: Path) -> None:
    """Two sets of shards that hold the same, and call it the other way round."""
    folder = write_shards(tmp_path / "made", SPLITS)
    store = stored_in(s3_uri, folder)
    ShardSource(StoredShards(s3_uri), "train").fetch(lambda *_: None)
    for end in (".bin", ".idx"):
        first, other = (store.read(f"train-0000{number}{end}") for number in (0, 2))
        store.write(f"train-00000{end}", other)
        store.write(f"train-00002{end}", first)
    manifest = json.loads(store.read("manifest.json"))
    shards = manifest["splits"]["train"]["shards"]
    shards[0]["name"], shards[2]["name"] = shards[2]["name"], shards[0]["name"]
    store.write("manifest.json", json.dumps(manifest).encode())
    source = ShardSource(StoredShards(s3_uri), "train")
    assert np.array_equal(source.windows(np.array([0]), len(TRAIN))[0], TRAIN)


def test_a_folder_is_read_in_place(tmp_path: Path) -> None:
    folder = write_shards(tmp_path / "made", SPLITS)
    source = ShardSource(StoredShards(str(folder)), "train", at_once=1)
    source.fetch(lambda *_: None)
    assert not list(scratch_folder().rglob("*.bin"))
    assert len(list(folder.glob("*.bin"))) == 6


def test_fetched_shards_are_bounded_and_read_to_the_end(s3_uri: str, tmp_path: Path) -> None:
    shards = [documents_of_lengths([24], seed) for seed in range(12)]
    whole = np.array(list(chain.from_iterable(chain.from_iterable(shards))))
    stored_in(s3_uri, write_shards(tmp_path / "made", {"train": shards, "validation": shards[:1]}))
    source = ShardSource(StoredShards(s3_uri), "train", at_once=2)
    batches, memory = Batches(source, 4, 3, 1, at_once=2), ArraySource(whole, 300, END)
    for step in range(30):
        turns = np.arange(step * 3, step * 3 + 3)
        expected = memory.windows(batches.order.places(turns), 5)
        assert np.array_equal(batches.rows(step).inputs, expected[:, :-1])
        assert len(list(scratch_folder().rglob("*.bin"))) <= 8  # three groups, and what has just come


def test_what_a_killed_process_left_is_trimmed(s3_uri: str, tmp_path: Path) -> None:
    stored_in(s3_uri, write_shards(tmp_path / "made", SPLITS))
    shards = StoredShards(s3_uri)
    ShardSource(shards, "train").fetch(lambda *_: None)
    shards.trim(1)
    assert len(list(scratch_folder().rglob("*.bin"))) == 1


def test_a_disk_that_is_too_small_is_told_before_anything_is_fetched(
    s3_uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored_in(s3_uri, write_shards(tmp_path / "made", SPLITS))
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 100})())
    with pytest.raises(UserError, match="shards_at_once"):
        ShardSource(StoredShards(s3_uri), "train").fetch(lambda *_: None)
    assert not list(scratch_folder().rglob("*.bin"))


def test_shards_of_another_tool_are_read_as_ours(tmp_path: Path) -> None:
    """Bytes with an index of Megatron's, in folders, of sequences of which several make a document."""
    texts = {"a/train": ["first one", "second", "and a third one"], "b/validation": ["held out", "as well"]}
    for name, documents in texts.items():
        data = "".join(f"{text}\0" for text in documents).encode()
        (tmp_path / name).parent.mkdir()
        (tmp_path / f"{name}.bin").write_bytes(data)
        ends = [place + 1 for place, byte in enumerate(data) if byte == 0]
        cuts = sorted({0, 3, *ends})  # the first document is two sequences
        lengths = np.diff(cuts)
        starts = [cuts.index(end) for end in (0, *ends)]
        (tmp_path / f"{name}.idx").write_bytes(
            b"MMIDIDX\0\0" + struct.pack("<QBQQ", 1, 1, len(lengths), len(starts))
            + lengths.astype("<i4").tobytes() + np.array(cuts[:-1], "<i8").tobytes()
            + np.array(starts, "<i8").tobytes()
        )  # fmt: skip
    adopt(open_store(str(tmp_path)), "bytes")
    for split, (name, documents) in zip(("train", "validation"), texts.items(), strict=True):
        shards = StoredShards(str(tmp_path))
        shards.check()
        source = ShardSource(shards, split)
        source.require_ends()
        data = (tmp_path / f"{name}.bin").read_bytes()
        assert source.windows(np.array([2]), 12)[0].tobytes() == data[2:14]
        assert len(source.bounds) == len(documents)


def test_contents_do_not_depend_on_place_or_names(tmp_path: Path) -> None:
    one = StoredShards(str(write_shards(tmp_path / "a", SPLITS))).contents
    other = write_shards(tmp_path / "b", SPLITS)
    manifest = json.loads((other / "manifest.json").read_text())
    manifest["source"] = {"path": "elsewhere"}
    manifest["tokenizer"]["name"] = "called otherwise"
    for split in manifest["splits"].values():
        for shard in split["shards"]:
            shard["name"] = f"x{shard['name']}"
    (other / "manifest.json").write_text(json.dumps(manifest))
    assert StoredShards(str(other)).contents == one
    changed = {**SPLITS, "train": SPLITS["train"][::-1]}
    assert StoredShards(str(write_shards(tmp_path / "c", changed))).contents != one
    assert StoredShards(str(write_shards(tmp_path / "d", SPLITS, begin=7))).contents != one


def test_documents_without_their_end_are_not_kept_apart(tmp_path: Path) -> None:
    ShardSource(StoredShards(str(write_shards(tmp_path / "a", SPLITS))), "train").require_ends()
    ShardSource(StoredShards(str(write_shards(tmp_path / "e", {**SPLITS, "train": [[], []]}))), "train").require_ends()
    other = write_shards(tmp_path / "b", {**SPLITS, "train": [[[5, 6, END], [7, 8]]]})
    with pytest.raises(UserError, match=r"do not end with the token 0.*packing to across"):
        ShardSource(StoredShards(str(other)), "train").require_ends()


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda folder: (folder / "manifest.json").unlink(), "aira data adopt"),
        (lambda folder: (folder / "manifest.json").write_text("{"), "not a manifest of token shards"),
        (lambda folder: (folder / "train-00002.bin").unlink(), r"train-00002\.bin: missing"),
        (lambda folder: (folder / "train-00002.bin").write_bytes(b"abcd"), r"train-00002\.bin: damaged: its size"),
        (lambda folder: (folder / "validation-00000.idx").unlink(), r"validation-00000\.idx: missing"),
    ],
)
def test_what_is_missing_is_named(tmp_path: Path, spoil: Any, words: str) -> None:
    folder = write_shards(tmp_path / "made", SPLITS)
    spoil(folder)
    with pytest.raises(UserError, match=words) as error:
        StoredShards(str(folder)).check()
    assert "\n" not in str(error.value)


def test_a_missing_split_is_named(tmp_path: Path) -> None:
    folder = write_shards(tmp_path / "made", {"train": SPLITS["train"]})
    with pytest.raises(UserError, match="no split 'validation'"):
        StoredShards(str(folder)).check()
