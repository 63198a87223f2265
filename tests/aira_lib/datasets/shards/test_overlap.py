"""Runs of words that evaluation data and training share, against a plain count over the texts."""

import json
import random
import re
from pathlib import Path

import pytest

from aira_lib.datasets.shards.overlap import Overlap, overlap
from aira_lib.datasets.shards.plan import Preparation
from aira_lib.datasets.shards.prepare import prepare
from aira_lib.errors import UserError
from tests.aira_lib.cli.in_process import aira
from tests.aira_lib.datasets.shards.texts import lines, write_tokenizer

WORDS = [f"word{n}" for n in range(12)]


def text(rng: random.Random, most: int = 60) -> str:
    """Few words, many signs and capitals: short runs come again by chance."""
    return " ".join(rng.choice(WORDS).title() + rng.choice(["", ",", "."]) for _ in range(rng.randint(1, most)))


def runs(texts: list[str], length: int) -> set[tuple[str, ...]]:
    """The plain way: all runs of words of all texts."""
    words = [re.findall(r"\w+", each.lower()) for each in texts]
    return {tuple(each[at : at + length]) for each in words for at in range(len(each) - length + 1)}


def prepared(folder: Path, train: list[str], tokenizer: str = "bytes") -> str:
    (folder / "train.jsonl").write_bytes(lines(train))
    asked = Preparation((str(folder / "train.jsonl"),), tokenizer, validation_one_in=0, shard_tokens=4_000)
    prepare(asked, str(folder / "out"), 1, lambda progress: None)
    return str(folder / "out")


def compared(uri: str, *files: Path, words: int = 4, processes: int = 1, field: str | None = None) -> Overlap:
    return overlap(uri, [str(file) for file in files], field, words, processes, lambda name: None)


@pytest.mark.parametrize("kind", ["bytes", "llama"])
def test_shares_are_those_of_a_plain_count(kind: str, tmp_path: Path) -> None:
    rng = random.Random(1)
    train = list(dict.fromkeys(text(rng) for _ in range(80)))
    items = [text(rng, 12) for _ in range(60)] + [train[3], "Word1 word2", ""]
    uri = prepared(tmp_path, train, kind if kind == "bytes" else write_tokenizer(tmp_path, kind))
    (tmp_path / "eval.jsonl").write_text("\n".join(json.dumps({"q": item}) for item in items))
    found = compared(uri, tmp_path / "eval.jsonl")
    (file,) = found.files
    trained = runs(train, 4)
    expected = {n: len(own & trained) / len(own) for n, item in enumerate(items) if (own := runs([item], 4)) & trained}
    assert file.shares == pytest.approx(expected, abs=1e-4)
    assert file.shares[60] == 1
    assert (file.items, file.short) == (63, sum(not runs([item], 4) for item in items))
    wanted = runs(items, 4)
    assert found.documents_overlapping == sum(bool(runs([each], 4) & wanted) for each in train)
    assert found.documents == len(train)


def test_processes_change_nothing(tmp_path: Path) -> None:
    rng = random.Random(2)
    uri = prepared(tmp_path, list(dict.fromkeys(text(rng) for _ in range(80))))
    (tmp_path / "eval.jsonl").write_bytes(lines([text(rng, 12) for _ in range(40)]))
    assert compared(uri, tmp_path / "eval.jsonl") == compared(uri, tmp_path / "eval.jsonl", processes=2)


def test_damaged_shards_are_not_compared(tmp_path: Path) -> None:
    uri = prepared(tmp_path, ["alpha beta gamma delta epsilon zeta"])
    (tmp_path / "eval.jsonl").write_bytes(lines(["alpha beta gamma delta"]))
    (shard,) = (tmp_path / "out").glob("*.bin")
    shard.write_bytes(shard.read_bytes().replace(b"beta", b"meta"))
    with pytest.raises(UserError, match=r"train-00000-000\.bin: damaged: its SHA-256 is .*; put a whole copy"):
        compared(uri, tmp_path / "eval.jsonl")
    shard.with_suffix(".idx").unlink()
    shard.write_bytes(shard.read_bytes().replace(b"meta", b"beta"))
    with pytest.raises(UserError, match=r"train-00000-000\.idx: missing"):
        compared(uri, tmp_path / "eval.jsonl")


def test_runs_do_not_cross_fields_and_one_field_can_be_chosen(tmp_path: Path) -> None:
    uri = prepared(tmp_path, ["alpha beta gamma delta epsilon zeta"])
    record = {"q": "alpha beta", "choices": ["gamma delta", "x"], "n": 3, "more": {"deep": "beta gamma delta epsilon!"}}
    (tmp_path / "eval.jsonl").write_text(json.dumps(record))
    assert compared(uri, tmp_path / "eval.jsonl").files[0].shares == {0: 1.0}
    assert compared(uri, tmp_path / "eval.jsonl", field="q", words=2).files[0].shares == {0: 1.0}
    with pytest.raises(UserError, match="no item has 4 words in a row; choose fewer"):
        compared(uri, tmp_path / "eval.jsonl", field="choices")
    with pytest.raises(UserError, match="no field 'question'; fields: q, choices, n, more"):
        compared(uri, tmp_path / "eval.jsonl", field="question")


def test_the_tokenizer_must_lie_with_the_shards(tmp_path: Path) -> None:
    uri = prepared(tmp_path, ["some text"], write_tokenizer(tmp_path, "gpt2"))
    (tmp_path / "eval.jsonl").write_bytes(lines(["a b c d e"]))
    (Path(uri) / "tokenizer.json").unlink()
    with pytest.raises(UserError, match=r"its tokenizer\.json is missing or another"):
        compared(uri, tmp_path / "eval.jsonl")


def test_the_command_line_writes_what_it_says(tmp_path: Path) -> None:
    words = " ".join(f"w{n}" for n in range(40))
    uri = prepared(tmp_path, [words, "something else"])
    (tmp_path / "eval.jsonl").write_bytes(lines([words, "w1 w2", " ".join(f"v{n}" for n in range(20))]))
    ended = aira("data", "overlap", uri, "--with", str(tmp_path / "eval.jsonl"))
    assert ended.code == 0
    assert "1 of 2 training documents share 13 words in a row" in ended.out
    assert "50.0%" in ended.out
    report = json.loads((Path(uri) / "overlap.json").read_text())
    assert report["files"] == [{"name": "eval.jsonl", "items": 3, "short": 1, "overlapping": 1, "shares": {"0": 1.0}}]
    aira("data", "overlap", uri, "--with", str(tmp_path / "eval.jsonl"), "-o", str(tmp_path / "o.json"))
    assert json.loads((tmp_path / "o.json").read_text()) == report
