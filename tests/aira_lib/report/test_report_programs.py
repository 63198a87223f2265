"""The report of a study whose candidates are programs: scores of its agents, and nothing of designs."""

import json
from pathlib import Path

import pytest

from aira_lib.records import Node, StandIn
from aira_lib.report.inputs import ReportInputs, SearchRun
from aira_lib.report.scored import ScoredTask, by_task_table, scored_run
from aira_lib.report.stage import report
from aira_lib.study import Study
from aira_lib.study.reading import parse_study
from tests.aira_lib.standings.finished_searches import task_folder
from tests.builders import node, work_in


def program(step: int, validation: float | None, test: float | None) -> Node:
    return node(step, None, validation, test, status="failed" if validation is None else "ok", evaluation=None)


def searches() -> list[SearchRun]:
    tried = {
        "greedy": [[(0.5, 0.5), (0.7, 0.6), (0.6, 0.64)], [(None, None), (0.5, 0.52)], [(None, None)]],
        "once": [[(0.4, 0.41)], [(None, None)], [(None, None)]],
    }
    return [
        SearchRun(agent, seed, [program(step, *scores) for step, scores in enumerate(nodes)], 3)
        for agent, runs in tried.items()
        for seed, nodes in enumerate(runs)
    ]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("programs")
    study: Study = parse_study(
        {
            "name": "programs",
            "task": {"folder": str(task_folder(root, "ParityAccuracy"))},
            "agents": [{"name": "greedy", "model": "openai/x", "seeds": 3}, {"name": "once", "model": "openai/x"}],
        },
        "made up",
    )
    work = work_in(root / "report")
    small = (StandIn(what="a made-up search", instead_of="an agent"),)
    report(study, ReportInputs(searches=searches(), stand_ins=small), work)
    return work.path


def test_agents_have_scores_with_intervals(written: Path) -> None:
    summary = json.loads((written / "summary.json").read_text())
    rows = {row["agent"]: row for row in summary["scores_by_task"]}
    assert rows["greedy"]["vsr"] == pytest.approx(2 / 3)
    assert rows["greedy"]["score"] == pytest.approx((0.6 + 0.52) / 2)
    assert rows["greedy"]["score_low"] == pytest.approx(0.52)
    assert rows["greedy"]["gap"] == pytest.approx(0.02)
    assert rows["once"]["score_low"] is None
    assert [row["player"] for row in summary["ratings"]] == ["greedy", "once"]
    assert "in 6 searches, of which 3 submitted something valid" in " ".join(summary["text"])


def test_of_a_run_that_submitted_nothing_valid_no_test_is_among_the_best() -> None:
    """Its best by validation has no test score; another one of it has, by which no valid run is to be judged."""
    lost = SearchRun("greedy", 9, [program(0, 0.5, 0.99), program(1, 0.9, None)], 2)
    runs = [scored_run("t", each) for each in (*searches()[:3], lost)]
    assert [run.valid for run in runs] == [True, True, False, False]
    (row,) = by_task_table(runs, {"t": ScoredTask("t")}).rows
    assert (row["peak"], row["score"]) == (pytest.approx((0.64 + 0.52) / 2), pytest.approx((0.6 + 0.52) / 2))


def test_nothing_is_said_of_designs(written: Path) -> None:
    page = (written / "report.html").read_text()
    assert 'id="figure-scores"' in page
    assert "a made-up search" in page
    for words in ("distinct designs", "base pattern", "Best design", "pretrained"):
        assert words not in page
    assert "best of any candidate" in (written / "report.md").read_text()
