"""The archive holds every distinct valid design once."""

import math
from pathlib import Path

import pytest

from aira_lib.archive.stage import archive
from aira_lib.errors import UserError
from aira_lib.records import Evaluation, Node, read_archive, write_rows
from tests.builders import node, work_in


def _journal(path: Path, nodes: list[Node]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_rows(path, nodes)
    return path


def test_merges_sorts_and_leaves_out_failures(tmp_path: Path) -> None:
    first = _journal(tmp_path / "1/journal.jsonl", [node(0, "A-M", 0.5, 0.4), node(1, None, None), node(2, "2M", 0.1)])
    second = _journal(tmp_path / "2/journal.jsonl", [node(0, "M-A", 0.7, 0.6), node(1, "A-M", 0.5, 0.4)])
    archive([("b.s0", second), ("a.s0", first)], work_in(tmp_path / "work"))
    rows = read_archive(tmp_path / "work/archive.parquet")
    assert [(r.design, r.validation, r.test) for r in rows] == [("M-A", 0.7, 0.6), ("A-M", 0.5, 0.4), ("2M", 0.1, None)]
    assert rows[1].agents == ("a.s0", "b.s0")
    assert rows[1].evaluations == 1
    assert rows[1].first_seen == "a.s0/0"
    assert rows[0].layers == ("M", "A")


def test_order_of_journals_does_not_matter(tmp_path: Path) -> None:
    journals = [(f"a.s{i}", _journal(tmp_path / f"{i}/j.jsonl", [node(0, "A-M", 0.1 * i)])) for i in range(3)]
    archive(journals, work_in(tmp_path / "x"))
    archive(journals[::-1], work_in(tmp_path / "y"))
    assert (tmp_path / "x/archive.parquet").read_bytes() == (tmp_path / "y/archive.parquet").read_bytes()
    row = read_archive(tmp_path / "x/archive.parquet")[0]
    assert (row.evaluations, row.validation) == (3, pytest.approx(0.1))


def test_a_fitness_that_is_not_a_number_never_enters(tmp_path: Path) -> None:
    nan = node(0, "A-M", 0.5).model_copy(update={"validation": math.nan})
    path = tmp_path / "j.jsonl"
    path.write_text(nan.model_dump_json() + "\n")
    with pytest.raises(UserError, match="none of the 1 searches found a valid design"):
        archive([("a.s0", path)], work_in(tmp_path / "w"))


def test_the_lowest_loss_comes_first_and_every_row_says_of_what_it_is(tmp_path: Path) -> None:
    journal = _journal(tmp_path / "j.jsonl", [node(0, "A-M", 2.0), node(1, "2M", 1.5), node(2, "2A", 1.7)])
    archive([("a.s0", journal)], work_in(tmp_path / "w"), dataset="text", lower_is_better=True)
    rows = read_archive(tmp_path / "w/archive.parquet")
    assert [r.design for r in rows] == ["2M", "2A", "A-M"]
    assert {(r.dataset, r.lower_is_better) for r in rows} == {("text", True)}


def scored(step: int, key: str, validation: float, **seconds: float) -> Node:
    evaluation = Evaluation(status="ok", validation=validation, key=key, **seconds)
    return node(step, "A-M", validation).model_copy(update={"evaluation": evaluation})


def test_evaluations_are_told_apart_by_their_keys_and_keep_what_they_cost(tmp_path: Path) -> None:
    """Two evaluations may score alike; and one that was found, which cost nothing here, was trained somewhere."""
    first = _journal(tmp_path / "1.jsonl", [scored(0, "one", 0.5, seconds=7.0, training_seconds=7.0)])
    second = [scored(0, "one", 0.5, training_seconds=7.0), scored(1, "two", 0.5, training_seconds=9.0)]
    archive([("a.s0", first), ("b.s0", _journal(tmp_path / "2.jsonl", second))], work_in(tmp_path / "w"))
    (row,) = read_archive(tmp_path / "w/archive.parquet")
    assert (row.evaluations, row.seconds) == (2, 16.0)
