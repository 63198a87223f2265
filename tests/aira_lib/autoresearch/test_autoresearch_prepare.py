"""The data of Autoresearch: packing against a plain reference, bytes against the text, splits, and parquet shards."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from aira_lib.autoresearch.prepare.load import SPLITS, autoresearch_data, labelled, rows_of
from aira_lib.autoresearch.prepare.packing import packed
from aira_lib.autoresearch.prepare.profiles import profile_of
from aira_lib.autoresearch.prepare.text import documents, texts_in
from aira_lib.autoresearch.prepare.vocabulary import Vocabulary, learned
from aira_lib.errors import UserError

TEXT = "naïve the cat sat on a mat while 漢字 and emoji 👩‍👩‍👧 went 12345 miles; def f(x): return x**2"
WORDS = [*TEXT.split(), "\n"]
SMALL = dataclasses.replace(
    profile_of("cpu"), vocabulary=300, length=16, train_bytes=20_000, hidden_bytes=2_000, vocabulary_bytes=20_000
)


def texts(n: int, seed: int) -> list[str]:
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(WORDS, rng.integers(1, 60))) for _ in range(n)]


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    return learned(texts(200, 0), SMALL.vocabulary, 10**6)


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    folder = tmp_path / "shards"
    folder.mkdir()
    for i in range(5):
        marked = [f"{i} {text}" for text in texts(60, i)]
        pq.write_table(pa.table({"text": marked, "url": [""] * 60}), folder / f"shard_{i:05d}.parquet")
    return folder


def packed_slowly(waiting: list[np.ndarray], row: int, buffered: int) -> list[np.ndarray]:
    """Best fit by looking at every buffered document each time."""
    rows, buffer, left = [], [], list(waiting)
    while True:
        filled: list[int] = []
        while len(filled) < row:
            while len(buffer) < buffered and left:
                buffer.append(left.pop(0))
            if not buffer:
                return rows
            fitting = [each for each in buffer if len(each) <= row - len(filled)]
            chosen = max(fitting, key=len) if fitting else min(buffer, key=len)
            del buffer[next(i for i, each in enumerate(buffer) if each is chosen)]
            filled += chosen[: row - len(filled)].tolist()
        rows.append(np.array(filled))


@pytest.mark.parametrize("seed", range(12))
def test_packing_is_best_fit(seed: int) -> None:
    rng = np.random.default_rng(seed)
    row, buffered = int(rng.integers(3, 20)), int(rng.integers(1, 12))
    some = [rng.integers(0, 999, rng.integers(1, 25)).astype(np.uint16) for _ in range(120)]
    got = list(packed(some, row, buffered))
    assert got
    assert np.array_equal(got, packed_slowly(some, row, buffered))


def test_a_document_is_in_no_row_twice() -> None:
    some = [np.full(4, i, np.uint16) for i in range(40)]
    rows = np.array(list(packed(some, 8)))
    assert rows.shape == (20, 8)
    assert set(np.bincount(rows.ravel())) == {4}


def test_bytes_of_tokens_are_those_of_the_text(vocabulary: Vocabulary) -> None:
    hard = ["漢字かな 👩‍👩‍👧‍👦 Ω", "\ud7ff\u200b\x00", *texts(30, 9)]
    for text in hard:
        ids = vocabulary.encode(text)
        assert vocabulary.byte_counts[ids].sum() == len(text.encode())
        assert vocabulary.decode(ids.tolist()) == text.encode()
    alone = [len(vocabulary.decode([i]).decode("utf-8", "replace").encode()) for i in vocabulary.encode("漢")]
    assert sum(alone) > len("漢".encode())  # what decoding single tokens would count


def test_reserved_tokens_stand_for_nothing_and_text_never_becomes_one(vocabulary: Vocabulary) -> None:
    assert vocabulary.byte_counts[-4:].tolist() == [0] * 4
    assert (vocabulary.byte_counts[:-4] > 0).all()
    assert max(vocabulary.encode("<|reserved_0|> <|endoftext|>").tolist()) < SMALL.bos


def test_digits_are_split_into_pairs() -> None:
    learned_from_digits = learned(["1234567890 " * 50, *texts(200, 0)], 300, 10**6)
    assert max(len(each.strip()) for each in learned_from_digits.raw if each.strip().isdigit()) <= 2


def test_too_little_text_for_a_vocabulary_is_said() -> None:
    with pytest.raises(UserError, match="too short"):
        learned(["abc"], 1_024, 10**6)


@pytest.mark.parametrize("cuts", [True, False])
def test_labels_hold_all_text_of_rows(vocabulary: Vocabulary, cuts: bool) -> None:
    profile = dataclasses.replace(SMALL, cuts=cuts)
    rows = np.array(list(rows_of(texts(50, 4), vocabulary, profile)))
    labels = labelled(rows, vocabulary.byte_counts)
    assert (rows[:, 0] == profile.bos).all()
    text = b"".join(vocabulary.decode(row.tolist()) for row in rows)
    assert labels[..., 1].sum() == len(text)
    assert np.array_equal(labels[..., 0], rows[:, 1:])
    assert (labels[..., 1] == 0).sum() == (rows[:, 1:] == profile.bos).sum()


def test_cutting_loses_no_text(vocabulary: Vocabulary) -> None:
    some = texts(50, 4)
    rows = np.array(list(rows_of(some, vocabulary, SMALL)))
    assert len(rows) * SMALL.length > 0.95 * sum(len(vocabulary.encode(each)) for each in some)


def test_a_row_that_begins_with_text_is_refused(vocabulary: Vocabulary) -> None:
    with pytest.raises(UserError, match="begins with text"):
        labelled(np.array([[65, 66, 67]], np.uint16), vocabulary.byte_counts)


def test_the_last_two_shards_are_hidden(shards: Path) -> None:
    found = texts_in(shards, train_shards=2)
    firsts = {split: {each[0] for each in documents(found, split, 10**9)} for split in SPLITS}
    assert firsts == {"train": {"0", "1"}, "test": {"3"}, "validation": {"4"}}


def test_shards_become_arrays_whose_bytes_are_known(
    shards: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AIRA_SCRATCH", str(tmp_path / "cache"))
    made: list[str] = []
    data = autoresearch_data(SMALL, texts_in(shards), made.append)
    assert data.about.stand_in is None
    for split in SPLITS:
        tokens, labels = (np.load(data.folder / split / f"{name}.npy") for name in ("tokens", "labels"))
        after = labels if split == "train" else labels[..., 0]
        assert (tokens.dtype, labels.dtype, tokens.shape) == (np.uint16, np.int32, after.shape)
        assert np.array_equal(tokens[:, 1:], after[:, :-1])
        held = sum(len(data.vocabulary.decode(row)) for row in after.tolist())
        assert held == data.about.bytes[split] == (labels[..., 1].sum() if split != "train" else held)
    again = autoresearch_data(SMALL, texts_in(shards), made.append)
    assert (len(made), again.about, again.vocabulary.digest) == (1, data.about, data.vocabulary.digest)
    assert json.loads((data.folder / "about.json").read_text())["tokenizer"] == data.vocabulary.digest


def test_other_shards_are_other_data(shards: Path) -> None:
    before = texts_in(shards).contents()
    pq.write_table(pa.table({"text": ["something else"]}), shards / "shard_00004.parquet")
    assert texts_in(shards).contents() != before


def test_what_is_wrong_with_shards_is_said(tmp_path: Path, shards: Path) -> None:
    with pytest.raises(UserError, match="three are needed"):
        texts_in(tmp_path / "nowhere")
    pq.write_table(pa.table({"words": ["a"]}), shards / "shard_00004.parquet")
    with pytest.raises(UserError, match="no column 'text'"):
        list(documents(texts_in(shards), "validation", 10))


def test_the_stand_in_says_so_and_hides_what_is_not_trained_on() -> None:
    found = texts_in(None)
    assert found.instead_of
    split = {name: set(documents(found, name, 300_000)) for name in SPLITS}
    assert all(split.values())
    assert not split["validation"] & split["test"]
    assert not split["train"] & (split["validation"] | split["test"])
