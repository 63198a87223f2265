"""`aira data prepare` on the command line: what it says of what it did and would do."""

import gzip
from pathlib import Path

import pytest

from tests.aira_lib.cli.in_process import aira
from tests.aira_lib.datasets.shards.texts import documents, lines, write_tokenizer


@pytest.fixture
def text(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.jsonl").write_bytes(lines(documents(150)))
    (tmp_path / "in" / "b.jsonl.gz").write_bytes(gzip.compress(lines(documents(150, seed=1))))
    return tmp_path / "in"


def test_made_then_found_then_refused(text: Path, tmp_path: Path) -> None:
    command = ("data", "prepare", str(text), "-o", str(tmp_path / "out"), "--validation-one-in")
    made = aira(*command, "10", "--processes", "1")
    assert made.code == 0
    assert "documents read 300, duplicates dropped 0" in made.out
    assert "all there already" in aira(*command, "10").out
    refused = aira(*command, "5")
    assert refused.code == 2
    assert "validation_one_in 10, not 5" in refused.err
    assert refused.err.count("\n") == 1


def test_a_dry_run_writes_nothing_and_comes_near(text: Path, tmp_path: Path) -> None:
    name = write_tokenizer(tmp_path, "gpt2")
    command = ("data", "prepare", str(text), "-o", str(tmp_path / "out"), "--tokenizer", name, "--processes", "1")
    dry = aira(*command, "--dry-run")
    assert dry.code == 0
    assert not (tmp_path / "out").exists()
    assert "350 ids, by tiktoken" in dry.out
    assert "by tokenizers" in aira(*command, "--dry-run", "--engine", "tokenizers").out
    told = next(line for line in dry.out.splitlines() if line.startswith("tokens:"))
    estimate = int(told.split()[-1].replace(",", ""))
    made = aira(*command, "--validation-one-in", "0")
    row = next(line for line in made.out.splitlines() if line.startswith(" train, ") or line.startswith("train, "))
    assert estimate == pytest.approx(int(row.split()[-2].replace(",", "")), rel=0.05)


@pytest.mark.parametrize("command", ["prepare", "overlap"])
def test_an_interruption_is_one_line(command: str, text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(f"aira_lib.datasets.shards.{command}.{command}", interrupted)
    place = ("-o", str(tmp_path / "out")) if command == "prepare" else ("--with", str(text))
    ended = aira("data", command, str(text), *place)
    assert (ended.code, ended.err.count("\n")) == (130, 1)
    assert ended.err.startswith("Interrupted; the same command ")


def test_no_validation_is_said(text: Path, tmp_path: Path) -> None:
    ended = aira("data", "prepare", str(text), "-o", str(tmp_path / "out"), "--validation-one-in", "1000000")
    assert "no document was held out" in ended.out


def test_a_tokenizer_that_does_not_convert_says_why(text: Path, tmp_path: Path) -> None:
    name = Path(write_tokenizer(tmp_path, "gpt2"))
    content = name.read_text().replace('"add_prefix_space":false', '"add_prefix_space":true')
    name.write_text(content)
    ended = aira(
        "data", "prepare", str(text), "-o", str(tmp_path / "out"), "--tokenizer", str(name), "--processes", "1"
    )
    assert ended.code == 0
    assert "by the package tokenizers, not by tiktoken: it puts a space before a text" in ended.out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nowhere", "-o", "out"), "nowhere: no such file or folder"),
        (("in", "-o", "out", "--tokenizer", "in/a.jsonl"), "is not bytes or a tokenizer.json file"),
        (("in", "-o", "out", "--text-field", "body"), "no text in field 'body'"),
        (("in", "-o", "in"), "which is read"),
        (("in", "-o", "gopher://x"), "unknown scheme 'gopher'"),
        (("in",), "missing option"),
    ],
)
def test_mistakes_are_one_line(
    arguments: tuple[str, ...], words: str, text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ended = aira("data", "prepare", *arguments)
    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert words in ended.err
