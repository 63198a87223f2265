"""Trainings that were stopped early win nothing, in the report and in the archive, and are counted."""

from pathlib import Path

from aira_lib.agents import best_node
from aira_lib.archive.stage import archive
from aira_lib.records import Evaluation, Node, read_archive, write_rows
from aira_lib.report.agents import agents_compared
from aira_lib.report.inputs import SearchRun
from aira_lib.report.searches import dynamics, search_table
from aira_lib.tasks.section import task_of
from tests.builders import node, tiny_study, work_in


def stopped(step: int, design: str, validation: float) -> Node:
    scored = Evaluation(status="ok", validation=validation, stopped_at=2, train_steps=20)
    return node(step, design, validation).model_copy(update={"evaluation": scored})


def whole(step: int, design: str, validation: float) -> Node:
    scored = Evaluation(status="ok", validation=validation, train_steps=100)
    return node(step, design, validation).model_copy(update={"evaluation": scored})


NODES = [whole(0, "A-M", 0.5), stopped(1, "2M", 0.9), whole(2, "M-A", 0.6), stopped(3, "2M", 0.9)]


def test_the_best_is_one_that_was_trained_to_its_end() -> None:
    run = SearchRun("x", 0, NODES, 4)
    best = best_node(NODES)
    assert best is not None
    assert best.design == "M-A"
    found = dynamics("x", [run])
    assert found is not None
    assert found.best.tolist() == [[0.5, 0.5, 0.6, 0.6]]
    assert agents_compared([run], ()).curves["x"][0].validation == 0.6


def test_a_search_says_the_same_best_as_the_report(tmp_path: Path) -> None:
    """What search.json and the terminal call best is what the report does: nothing that was stopped early."""
    from aira_lib.search.summary import so_far, summary_of

    task = tiny_study().task
    summary = summary_of(task_of(task), {}, tiny_study().agents[0], 0, NODES)
    assert summary["best"]["design"] == "M-A"
    assert "best 0.6000 M-A" in so_far(NODES, task_of(task))


def test_the_table_says_how_many_were_stopped_and_what_that_saved() -> None:
    caption = search_table([SearchRun("x", 0, NODES, 4)]).caption
    assert "1 of 3 designs was stopped early, which saved 27% of the optimizer steps" in caption
    assert "stopped" not in search_table([SearchRun("x", 0, [NODES[0]], 4)]).caption


def test_the_archive_has_whole_trainings_alone(tmp_path: Path) -> None:
    write_rows(tmp_path / "journal.jsonl", NODES)
    archive([("x.s0", tmp_path / "journal.jsonl")], work_in(tmp_path / "work"))
    assert [row.design for row in read_archive(tmp_path / "work/archive.parquet")] == ["M-A", "A-M"]
