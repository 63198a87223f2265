"""`aira features` over scripts and journals: what it prints and writes, and what it refuses in one line."""

import csv
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from aira_lib.cli.aira import app
from aira_lib.edits.reading import read_asked
from aira_lib.errors import UserError
from aira_lib.records import Node
from aira_lib.settings import Settings
from tests.aira_lib.autoresearch.features_script import SCRIPT, edited

TIED = edited(("# the model's own", "self.lm_head.weight = self.wte.weight"))
HOSTILE = "'" + "{" * 3000  # as an f-string it would be slow; as it stands it is no Python
NESTED = "a" + ".b" * 3000


def aira(*arguments: object) -> str:
    done = CliRunner().invoke(app, ["features", *map(str, arguments)], env={"COLUMNS": "200"})
    if done.exception:
        raise done.exception
    return done.output


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    script, journal = tmp_path / "train.py", tmp_path / "journal.jsonl"
    script.write_text(SCRIPT)
    steps = [(SCRIPT, 1.5), (TIED, 1.25), (NESTED, None), (SCRIPT, 1.0)]
    journal.write_text("".join(
        Node(step=n, id=f"n{n}", operator="draft", code=code, status="ok" if score else "failed",
             validation=score).json_line() for n, (code, score) in enumerate(steps)
    ))  # fmt: skip
    return script, journal


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_script_is_printed_with_lines(files: tuple[Path, Path]) -> None:
    printed = aira(files[0])
    at = next(n for n, line in enumerate(SCRIPT.splitlines(), 1) if line.startswith("MATRIX_LR"))
    assert any(line.split()[3:8:2] == ["matrix_lr", "0.04", str(at)] for line in printed.splitlines())
    (scripts,) = [json.loads(aira(files[0], "--json"))["scripts"]]
    found = {each["feature"]: each["value"] for each in scripts}
    assert (found["depth"], found["weight_tying"], found["WARMUP"], len(found)) == ("2", "off", "0.0", 28)


def test_a_journal_gives_the_tables_as_files_and_a_small_page(files: tuple[Path, Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    aira(files[1], "--to", out)
    tied = {row["feature"]: row for row in rows(out / "table_20.csv")}["weight_tying"]
    assert (tied["add_count"], tied["add_median_gain"], tied["remove_count"], tied["remove_median_gain"]) == (
        "1", "0.25", "1", "0.25",
    )  # fmt: skip
    assert tied["verdict"] == "equal"
    heads = {row["category"]: row for row in rows(out / "table_21.csv")}["Embeddings / heads"]
    assert (heads["count"], heads["percent_of_improvements"], heads["tried"]) == ("2", "100.0", "2")
    assert len(rows(out / "table_19.csv")) == 27
    assert [row["step"] for row in rows(out / "steps.csv")] == ["0", "1", "2", "3"]
    page = (out / "features.html").read_text()
    assert "<script" not in page
    assert len(page) < 200_000
    assert (out / "figure_28.svg").read_text().startswith("<?xml")
    said = " ".join(json.loads((out / "features.json").read_text())["remarks"])
    assert "2 improvements in 2 attempts" in said
    assert "1 attempts are left out" in said


def test_the_baseline_may_be_the_origin(files: tuple[Path, Path]) -> None:
    numbers = json.loads(aira(files[1], "--origin", f"{files[0]}=1.2", "--json"))
    assert [row["gain"] for row in numbers["steps"]] == [None, None, None, pytest.approx(0.2)]


@pytest.mark.parametrize(("name", "content", "says"), [
    ("train.py", "def f(:", "no training script"), ("train.py", NESTED, "train.py: "),
    ("train.py", HOSTILE, "train.py: "),
    ("train.py", "x = " + "[" * 150 + "]" * 150, "levels deep"), ("train.py", "\0", "train.py: "),
    ("journal.jsonl", "no node\n", "journal.jsonl:1"), ("train.txt", "", "give training scripts"),
])  # fmt: skip
def test_what_cannot_be_read_ends_in_one_line(tmp_path: Path, name: str, content: str, says: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(UserError) as refused:
        aira(tmp_path / name)
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 400 + len(str(tmp_path))


def test_a_file_that_is_not_there_and_an_origin_without_a_score(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="give a file"):
        aira(tmp_path / "none.py")
    with pytest.raises(UserError, match="FILE=SCORE"):
        aira(tmp_path / "none.py", "--origin", "baseline.py")


def test_nothing_of_a_script_is_run(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(f"open({str(tmp_path / 'run')!r}, 'w')\n{SCRIPT}")
    read_asked([str(tmp_path / "train.py")], None, Settings())
    assert not (tmp_path / "run").exists()
