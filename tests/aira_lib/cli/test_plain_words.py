"""Lines that once misled: what is not there, is not read, is not written or is not known is said as it is."""

from pathlib import Path

import pytest
import yaml

from aira_lib.datasets.text.files import text_files
from aira_lib.errors import UserError
from aira_lib.report.inputs import ReportInputs
from aira_lib.report.sizes import sizes_table
from aira_lib.study.reading import parse_study
from tests.aira_lib.cli.in_process import aira
from tests.builders import TINY_STUDY


def test_text_that_would_be_passed_over_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("words")
    (tmp_path / "notes.tar.gz").write_text("no text")
    assert [file.name for file in text_files(tmp_path)] == ["a.txt"]
    (tmp_path / "b.parquet.zst").write_text("packed")
    with pytest.raises(UserError, match=r"b.parquet.zst: not read compressed; unpack it"):
        text_files(tmp_path)


def test_an_export_is_of_the_kind_that_its_name_says(tmp_path: Path) -> None:
    ended = aira("store", "export", str(tmp_path / "x.csv"), "--store", str(tmp_path))
    assert ended.code == 2
    assert "name a file that ends in .parquet" in ended.err


def test_a_data_set_that_nobody_has_is_no_empty_answer(tmp_path: Path) -> None:
    ended = aira("store", "query", "--dataset", "maad", "--store", str(tmp_path))
    assert ended.code == 2
    assert "did you mean 'mad'?" in ended.err
    assert aira("store", "query", "--dataset", "mad", "--store", str(tmp_path)).code == 0


def test_a_family_of_designs_says_what_is_in_it() -> None:
    ended = aira("design", "show", "Llama 3.2")
    assert ended.err == "aira: Llama 3.2 is a family of designs; name one of " + ", ".join(
        f"Llama 3.2@{scale}" for scale in ("350M", "1B", "3B")
    ) + "\n"  # fmt: skip


def test_a_line_of_a_file_is_named_with_its_number(tmp_path: Path) -> None:
    designs = tmp_path / "designs.txt"
    designs.write_text("A-M\n\n# a remark\nA-X\n")
    ended = aira("proxy", "evaluate", "--file", str(designs), "--dry-run", "--store", str(tmp_path))
    assert ended.err.startswith(f"aira: {designs}:4: ")


def test_the_report_says_which_text_was_read() -> None:
    own = {"name": "files", "paths": ["/data/mine.jsonl"]}
    changed = {**TINY_STUDY, "pretrain": {**TINY_STUDY["pretrain"], "data": own}}
    on_shards = {**changed, "pretrain": {**changed["pretrain"], "data": {"name": "shards", "shards": "s3://b/shards"}}}
    task = {"name": "NeuralArchitectureSearchDCLM2PrimitivesLoss", "layers": 4}
    proxy = {**TINY_STUDY["proxy"], "language": {"paths": ["/data/proxy.txt"]}}
    for study, here in (
        (changed, {"pretraining text": "/data/mine.jsonl"}),
        (TINY_STUDY, {"pretraining text": "stand-in"}),
        (on_shards, {"pretraining text": "token shards of s3://b/shards"}),
        ({**TINY_STUDY, "task": task, "proxy": proxy}, {"proxy data": "text of /data/proxy.txt, in the place of DCLM"}),
    ):
        rows = {row["quantity"]: row["here"] for row in sizes_table(parse_study(study, "s"), ReportInputs()).rows}
        for quantity, words in here.items():
            assert words in str(rows[quantity])


@pytest.mark.parametrize("command", ["run", "search"])
def test_places_are_shown_as_a_shell_takes_them(command: str, tmp_path: Path) -> None:
    """A store called "my runs" was shown as my%20runs, which is another folder."""
    study = tmp_path / "s.yaml"
    study.write_text(yaml.safe_dump(TINY_STUDY))
    ended = aira(command, str(study), "--dry-run", AIRA_STORE=str(tmp_path / "my rüns"), AIRA_KERNELS="plain")
    assert ended.code == 0, ended
    assert "%" not in ended.out
    assert "my rüns" in ended.out
