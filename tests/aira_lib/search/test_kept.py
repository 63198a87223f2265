"""What a search keeps beside its journal."""

import json
from pathlib import Path
from typing import Literal

import pytest

from aira_lib.records import Node
from aira_lib.records.opened import OPENED, SUBMISSION, SUBMITTED_BY
from aira_lib.search.kept import Kept
from tests.builders import node, work_in


def scored(step: int, validation: float | None) -> Node:
    status: Literal["ok", "failed"] = "failed" if validation is None else "ok"
    return Node(step=step, id=f"n{step}", operator="draft", status=status, validation=validation, code=f"print({step})")


def test_the_submission_of_the_best_program_takes_the_place_of_the_one_before(tmp_path: Path) -> None:
    work = work_in(tmp_path)
    pushed: list[str] = []
    work.push = pushed.append
    kept, nodes = Kept(work, lower_is_better=True), list[Node]()
    submissions = [{"out/a.csv": b"0"}, {"out/a.csv": b"1"}, {"b.csv": b"2"}, {}]
    for each, submitted in zip(
        (scored(0, 0.5), scored(1, 0.7), scored(2, 0.2), scored(3, None)), submissions, strict=True
    ):
        kept.submission(each, nodes, submitted)
        nodes.append(each)
    folder = work.path / SUBMISSION
    assert sorted(path.name for path in folder.rglob("*") if path.is_file()) == ["b.csv", SUBMITTED_BY]
    assert json.loads((folder / SUBMITTED_BY).read_text())["step"] == 2
    assert f"{SUBMISSION}/out/a.csv" in pushed[2:]  # gone from the store, too
    assert not (folder / "out").exists()


def test_designs_are_in_the_journal_and_nowhere_else(tmp_path: Path) -> None:
    work = work_in(tmp_path)
    Kept(work, False).submission(node(0, "2A-2M", 0.5), [], {"submission.csv": b"architecture\n2A-2M\n"})
    Kept(work, False).begin({})
    assert not (work.path / SUBMISSION).exists()
    assert not (work.path / OPENED).exists()
    assert work.stand_ins == []


@pytest.mark.parametrize(
    ("told", "reported", "expected"),
    [
        ({"validation": "self-reported", "validation_why": "so"}, False, ["so"]),
        ({"validation": "held-out", "held_out_rows": 3}, True, []),
        ({}, True, [""]),  # a family from outside, whose nodes alone say so
        ({}, False, []),
    ],
)
def test_what_nobody_measures_is_a_stand_in(
    told: dict[str, object], reported: bool, expected: list[str], tmp_path: Path
) -> None:
    work = work_in(tmp_path)
    kept = Kept(work, False)
    kept.begin(told)
    kept.say_stand_in([scored(0, 0.5).model_copy(update={"self_reported": reported})])
    assert [entry.detail for entry in work.stand_ins] == expected


def test_what_stands_in_for_data_is_in_the_record_also_after_an_interruption(tmp_path: Path) -> None:
    data = {"stand-in": "mails", "instead of": "reviews", "size": "smoke", "seed": 3}
    Kept(work_in(tmp_path), False).begin({"validation": "measured", "data": data})
    work = work_in(tmp_path)
    Kept(work, False).say_stand_in()  # as at the end of a search whose steps were all done before
    (entry,) = work.stand_ins
    assert (entry.what, entry.instead_of, entry.detail) == ("mails", "reviews", "size smoke; seed 3")
    other = work_in(tmp_path / "other")
    Kept(other, False).begin({"validation": "measured", "data": {"size": "paper"}})
    assert other.stand_ins == []
