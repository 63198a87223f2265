import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from aira_lib.datasets.text import text_files_corpus
from aira_lib.errors import UserError

TEXTS = [f"Document {i}: a café\nand {'more ' * (i % 9)}lines." for i in range(200)]
ENCODED = [text.encode() for text in TEXTS]


def lines(texts, **extra):
    return "".join(json.dumps({"url": "http://x", "text": text, **extra}) + "\n" for text in texts).encode()


def documents(array):
    return array.tobytes().removesuffix(b"\0").split(b"\0")


def write_zst(path, data):
    with pa.output_stream(str(path), compression="zstd") as stream:
        stream.write(data)


def write_parquet(path, texts):
    table = pa.table({"text": texts, "url": ["http://x"] * len(texts)})
    pq.write_table(table, path, row_group_size=50, compression="zstd")


FORMS = {
    "shard.jsonl": lambda path: path.write_bytes(lines(TEXTS)),
    "c4-train.00000-of-01024.json.gz": lambda path: path.write_bytes(gzip.compress(lines(TEXTS))),
    "shard_00000000_processed.jsonl.zst": lambda path: write_zst(path, lines(TEXTS, metadata={"n": 1})),
    "train-00000-of-00001.parquet": lambda path: write_parquet(path, TEXTS),
    "stories.txt.gz": lambda path: path.write_bytes(gzip.compress("\n".join(map(json.dumps, TEXTS)).encode())),
}


@pytest.mark.parametrize("name", FORMS)
def test_every_form_gives_the_same_corpus(tmp_path, name):
    FORMS[name](tmp_path / name)
    corpus = text_files_corpus(tmp_path / name)
    train, validation = documents(corpus.train), documents(corpus.validation)
    assert sorted(train + validation) == sorted(ENCODED)
    assert train == [text for text in ENCODED if text in set(train)], "the order of the file"
    assert 5 <= len(validation) <= 40
    plain = tmp_path / "plain.jsonl"
    plain.write_bytes(lines(TEXTS))
    assert text_files_corpus(plain).provenance["validation_sha256"] == corpus.provenance["validation_sha256"]


def test_folder_of_plain_text(tmp_path):
    for i, text in enumerate(TEXTS):
        path = tmp_path / f"part{i % 3}" / f"{i:03}.{'txt' if i % 2 else 'md'}"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\0")
    corpus = text_files_corpus(str(tmp_path))
    assert sorted(documents(corpus.train) + documents(corpus.validation)) == sorted(ENCODED)
    assert corpus.provenance["files"][:2] == ["000.md", "003.txt"]


def test_equal_documents_are_taken_once_over_all_files(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(lines(TEXTS + TEXTS[:50]))
    write_parquet(tmp_path / "b.parquet", TEXTS)
    corpus = text_files_corpus(tmp_path / "a.jsonl", tmp_path / "b.parquet")
    assert sorted(documents(corpus.train) + documents(corpus.validation)) == sorted(ENCODED)


def test_reading_stops_when_both_splits_are_full(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(lines(TEXTS) + lines(TEXTS[:1]) * 10 + b"this is never reached\n")
    corpus = text_files_corpus(tmp_path / "a.jsonl", max_train_bytes=500, max_validation_bytes=100)
    assert 400 < len(corpus.train) <= 500
    assert 0 < len(corpus.validation) <= 100


def test_separator_and_lone_surrogates_do_not_get_in(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(lines(["a\0b", "c \ud800 d", "", "\n", *TEXTS]))
    corpus = text_files_corpus(tmp_path / "a.jsonl")
    found = documents(corpus.train) + documents(corpus.validation)
    assert b"ab" in found
    assert b"c ? d" in found
    assert len(found) == len(TEXTS) + 2


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("a.jsonl", lines(TEXTS[:2]) + b"{broken\n", r"a\.jsonl:3: not a line of JSON"),
        ("a.jsonl", b'{"content": "x"}\n', r"a\.jsonl:1: .*no text in field 'text'"),
        ("a.jsonl", b'"just a string"\n', r"a\.jsonl:1: "),
        ("a.jsonl", b'{"text": "\xff"}\n', r"a\.jsonl:1: "),
        ("a.json.gz", b"not gzip", r"a\.json\.gz:1: "),
        ("a.parquet", b"not parquet", "cannot be read as Parquet"),
        ("a.txt", b"\xff\xfe", "not UTF-8"),
        ("a.csv", b"x", "not a known kind"),
        ("a.txt", b"one document", "too few"),
    ],
)
def test_bad_files_are_one_line(tmp_path, name, data, says):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(UserError, match=says) as error:
        text_files_corpus(tmp_path / name)
    assert "\n" not in str(error.value)
    assert name in str(error.value)


def test_bad_places_are_one_line(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        text_files_corpus(tmp_path / "missing")
    with pytest.raises(UserError, match="no text files"):
        text_files_corpus(tmp_path)
    write_parquet(tmp_path / "a.parquet", TEXTS)
    with pytest.raises(UserError, match="no column 'content'; columns: text, url"):
        text_files_corpus(tmp_path, text_field="content")
