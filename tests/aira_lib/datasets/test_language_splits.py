"""Text as examples: real files in their published forms, stand-ins, tokens and splits that share nothing."""

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from aira_lib.datasets.language import LanguageSplits, language_splits, stand_in
from aira_lib.datasets.text.files import documents_of
from aira_lib.datasets.text.sources import documents
from aira_lib.datasets.text.tokens import Words, tokenizer_named
from aira_lib.errors import UserError
from aira_lib.study.language import LanguageData, LanguageName

SMALL: dict[str, Any] = {"seq_len": 16, "train_examples": 100, "test_examples": 40}
DOCUMENTS = [f"Document {i} says {i * i} and nothing else." for i in range(300)]


def made(dataset: LanguageName = "babistories", seed: int = 5, **changes: Any) -> LanguageSplits:
    return language_splits(dataset, LanguageData(**{**SMALL, **changes}), 0.3, seed)


@pytest.mark.parametrize("dataset", ["babistories", "dclm"])
@pytest.mark.parametrize("tokenizer", ["bytes", "words"])
def test_examples_are_windows_with_the_next_token_as_target(dataset: LanguageName, tokenizer: str) -> None:
    data = made(dataset, tokenizer=tokenizer, vocab_size=64)
    train, validation, test, pool = (
        getattr(data.splits, name) for name in ("train", "validation", "test", "pool")
    )  # fmt: skip
    assert [len(part) for part in (train, validation, test, pool)] == [70, 30, 40, 100]
    for part in (pool, test):
        assert part.inputs.shape == (len(part), 16)
        assert (part.inputs.ravel()[1:] == part.targets.ravel()[:-1]).all()
        assert 0 <= part.inputs.min() <= part.inputs.max() < data.vocab_size
    assert np.array_equal(pool.inputs, np.concatenate([train.inputs, validation.inputs]))
    assert (data.words is not None) == (tokenizer == "words")


def test_the_seed_fixes_the_splits_and_another_gives_another_test(tmp_path: Path) -> None:
    file = tmp_path / "text.jsonl"
    file.write_text("".join(json.dumps({"text": text}) + "\n" for text in DOCUMENTS))
    for changes in ({}, {"paths": (str(file),)}):
        language_splits.cache_clear()
        first = made(**changes)
        language_splits.cache_clear()
        again, other = made(**changes), made(seed=6, **changes)
        assert np.array_equal(first.splits.test.inputs, again.splits.test.inputs)
        assert first.provenance == again.provenance
        assert first.provenance["test_sha256"] != other.provenance["test_sha256"]
    assert made("dclm").provenance["test_sha256"] != made("dclm", seed=6).provenance["test_sha256"]


def _documents(tokens: Any) -> set[str]:
    """Whole documents in a stretch of byte tokens: between two marks."""
    return {part.decode() for part in bytes(tokens.astype(np.uint8)).split(b"\0")[1:-1]}


def test_no_document_is_in_training_and_in_test(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("".join(json.dumps(text) + "\n" for text in DOCUMENTS * 2))
    for data in (
        made(seq_len=128),
        made("dclm", seq_len=256),
        made(paths=(str(tmp_path),), train_examples=400, test_examples=150),
    ):
        pool, test = (_documents(part.inputs.ravel()) for part in (data.splits.pool, data.splits.test))
        assert pool
        assert test
        assert not pool & test
    assert pool | test <= set(DOCUMENTS)


def test_given_test_files_are_the_test_and_left_out_of_training(tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in DOCUMENTS))
    (tmp_path / "test.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in DOCUMENTS[:60]))
    data = made(paths=(str(tmp_path / "train.jsonl"),), test_paths=(str(tmp_path / "test.jsonl"),))
    assert _documents(data.splits.test.inputs.ravel()) <= set(DOCUMENTS[:60])
    assert _documents(data.splits.pool.inputs.ravel()) <= set(DOCUMENTS[60:])


def test_every_published_form_gives_the_same_documents(tmp_path: Path) -> None:
    lines = "".join(json.dumps({"text": text}) + "\n" for text in DOCUMENTS).encode()
    (tmp_path / "a.jsonl").write_bytes(lines)
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(lines))
    (tmp_path / "c.jsonl.zst").write_bytes(pa.compress(lines, codec="zstd", asbytes=True))
    pq.write_table(pa.table({"text": DOCUMENTS}), tmp_path / "d.parquet")
    (tmp_path / "e.txt").write_text("".join(json.dumps(text) + "\n" for text in DOCUMENTS))
    for file in sorted(tmp_path.iterdir()):
        assert list(documents([str(file)])) == DOCUMENTS, file
    plain = tmp_path / "f.txt"
    plain.write_text('"Hello," she said.\nAnd left.')
    assert list(documents_of([plain])) == [plain.read_text()]


def test_text_in_s3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from moto.server import ThreadedMotoServer

    from aira_lib.store import open_store

    server = ThreadedMotoServer(port=0)
    server.start()
    try:
        host, port = server.get_host_and_port()
        for name, value in {"AWS_ENDPOINT_URL": f"http://{host}:{port}", "AWS_ACCESS_KEY_ID": "x",
                            "AWS_SECRET_ACCESS_KEY": "x", "AWS_DEFAULT_REGION": "us-east-1"}.items():  # fmt: skip
            monkeypatch.setenv(name, value)
        import boto3

        boto3.client("s3").create_bucket(Bucket="text")
        store = open_store("s3://text")
        store.write("stories/a.jsonl", json.dumps({"text": "one"}).encode())
        store.write("stories/b.jsonl", json.dumps({"text": "two"}).encode())
        store.write("stories/README", b"no text")
        assert list(documents(["s3://text/stories"])) == ["one", "two"]
        assert list(documents(["s3://text/stories/b.jsonl"])) == ["two"]
        with pytest.raises(UserError, match="no such object"):
            list(documents(["s3://text/elsewhere"]))
    finally:
        server.stop()


def test_words_are_the_most_frequent_of_training() -> None:
    words = Words(vocab_size=5)
    train = np.concatenate([words.encode("b a, a b a c"), [words.end]])
    test = words.encode("z a c")
    mapping, listed, size = words.vocabulary(train)
    assert mapping is not None
    assert (listed, size) == (["<end>", "<other>", "a", "b", ","], 5)
    assert mapping[train].tolist() == [3, 2, 4, 2, 3, 2, 1, 0]
    assert mapping[test].tolist() == [1, 2, 1]


def test_a_trained_tokenizer_from_a_file(tmp_path: Path) -> None:
    tokenizers = pytest.importorskip("tokenizers")
    trained = tokenizers.Tokenizer(tokenizers.models.BPE(unk_token="<unk>"))
    trained.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    trainer = tokenizers.trainers.BpeTrainer(vocab_size=90, special_tokens=["<unk>", "<|endoftext|>"])
    trained.train_from_iterator(DOCUMENTS, trainer)
    trained.enable_truncation(8)  # as many published files have it: documents must not be cut
    trained.save(str(tmp_path / "tokenizer.json"))
    trained.no_truncation()
    ours = tokenizer_named(str(tmp_path / "tokenizer.json"), 0)
    assert ours.encode(DOCUMENTS[7]).tolist() == trained.encode(DOCUMENTS[7]).ids
    assert ours.end == trained.token_to_id("<|endoftext|>")
    data = made(tokenizer=str(tmp_path / "tokenizer.json"))
    assert data.vocab_size == trained.get_vocab_size()
    assert "tokenizer.json" in data.provenance["tokens"]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"paths": ("/nowhere",)}, "no such file or folder"),
        ({"paths": ("hf://just-a-name",)}, r"hf://OWNER/NAME"),
        (
            {"train_examples": 4, "paths": ("FILE",), "test_examples": 500},
            r"0 train windows of 16 tokens, 4 are wanted",
        ),
        ({"tokenizer": "/nowhere/tokenizer.json"}, "is not bytes, words or a tokenizer.json"),
    ],
)
def test_mistakes_are_one_line(tmp_path: Path, changes: dict[str, Any], says: str) -> None:
    file = tmp_path / "one.txt"
    file.write_text("One short document.")
    paths = {"paths": (str(file),)} if changes.get("paths") == ("FILE",) else {}
    with pytest.raises(UserError, match=says) as error:
        made(**{**changes, **paths})
    assert "\n" not in str(error.value)


def test_a_stand_in_is_named_and_real_text_is_none() -> None:
    for dataset, what in (("babistories", "grammar"), ("dclm", "standard library")):
        entry = stand_in(dataset, LanguageData(tokenizer="words"))  # type: ignore[arg-type]
        assert entry is not None
        assert what in entry.what
        assert "words" in entry.detail
    assert stand_in("dclm", LanguageData(paths=("x",))) is None
    assert stand_in("babistories", LanguageData()) is not None
    assert LanguageData().test_examples == 9275
