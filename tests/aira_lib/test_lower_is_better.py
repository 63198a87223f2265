"""A loss from search to report: what is lowest is best everywhere; and the search keeps its data's seed to itself."""

import json
from pathlib import Path
from typing import Any

import pytest

from aira_lib.agents import best_node
from aira_lib.aggregate.stage import base_patterns
from aira_lib.aggregate.table import DesignTable
from aira_lib.errors import UserError
from aira_lib.flow import entry
from aira_lib.flow.units import search_units
from aira_lib.records import ArchiveRow, BasePattern, Manifest, Node, StandIn, read_archive, read_row, read_rows
from aira_lib.report.gather import gather
from aira_lib.report.inputs import SearchRun
from aira_lib.report.searches import dynamics, search_table, steps_table
from aira_lib.report.stage import report
from aira_lib.report.tables import best_archive_rows, best_designs_table
from aira_lib.study import AggregateSection, Study, canonical_json
from aira_lib.tasks import description, proxy_for, task_named
from tests.builders import TINY_STUDY, node, tiny_study, work_in
from tests.record_tree import files_of

TASK = "NeuralArchitectureSearchBabiStories2PrimitivesLoss"
TEXT = {"tokenizer": "words", "vocab_size": 64, "seq_len": 16, "train_examples": 60, "test_examples": 20}


def study(**changes: Any) -> Study:
    proxy = {**TINY_STUDY["proxy"], "epochs": 2, "learning_rate": 3e-3, "seed": 987_654_321, "language": TEXT}
    values: dict[str, Any] = {"task": {"name": TASK, "layers": 4}, "proxy": proxy}
    return tiny_study(**{**values, **changes})


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Searches, archive and patterns of a study of stories."""
    place, text = tmp_path_factory.mktemp("loss"), canonical_json(study())
    searches = [entry.run_text("search", text, str(place), name, ()) for name in entry.search_names(text)]
    archive = entry.run_text("archive", text, str(place), "", searches)
    entry.run_text("aggregate", text, str(place), "", [archive])
    return place


def _one(store: Path, name: str) -> Path:
    (found,) = store.rglob(name)
    return found


def test_the_archive_begins_with_the_lowest_loss(store: Path) -> None:
    rows = read_archive(_one(store, "archive.parquet"))
    assert {(row.dataset, row.lower_is_better) for row in rows} == {("babistories", True)}
    losses = [row.validation for row in rows]
    assert losses == sorted(losses)
    assert all(1 < loss < 10 for loss in losses)
    assert best_archive_rows(rows, 1)[0].validation == min(losses)


def test_the_best_of_a_search_is_the_lowest(store: Path) -> None:
    for path in store.rglob("search.json"):
        nodes = [n for n in read_rows(path.parent / "journal.jsonl", Node) if n.validation is not None]
        found = json.loads(path.read_text())
        if nodes:
            assert found["best"]["validation"] == min(n.validation or 0 for n in nodes)


def test_members_of_a_pattern_are_the_lowest(store: Path) -> None:
    losses = sorted(row.validation for row in read_archive(_one(store, "archive.parquet")))
    (pattern,) = read_rows(_one(store, "patterns.jsonl"), BasePattern)
    assert sorted(member.fitness for member in pattern.members) == losses[: len(pattern.members)]


def test_stand_ins_are_named_and_the_report_ranks_by_loss(store: Path, tmp_path: Path) -> None:
    manifests = [read_row(path, Manifest) for path in sorted(store.rglob("manifest.json"))]
    for manifest in manifests:
        assert "BabiStories" in [entry.instead_of for entry in manifest.stand_ins]
    records = [(read_row(path, Manifest), files_of(path)) for path in sorted(store.rglob("manifest.json"))]
    stand_ins = [StandIn(**dict(entry)) for entry in manifests[0].stand_ins]
    work = work_in(tmp_path)
    report(study(), gather(study(), records, (), stand_ins, {}), work)
    page = (tmp_path / "report.md").read_text()
    assert "with a proxy loss of" in page
    assert "proxy accuracy" not in page
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["best_find"]["validation"] == min(r.validation for r in read_archive(_one(store, "archive.parquet")))


def test_neither_seed_nor_test_text_is_told_to_an_agent(store: Path) -> None:
    """What a prompt is made of, and what a journal keeps."""
    chosen = study()
    task = task_named(TASK)
    assert "987654321" not in description(task, 4, proxy_for(task, chosen.proxy))
    for path in store.rglob("journal.jsonl"):
        assert "987654321" not in path.read_text()


LOSSES = [node(0, "4M", 3.0), node(1, None, None), node(2, "2A-2M", 1.5), node(3, "4A", 2.0)]


def test_report_of_searches_by_loss() -> None:
    run = SearchRun("a", 0, LOSSES, 4, lower_is_better=True)
    best = best_node(LOSSES, lower_is_better=True)
    assert best is not None
    assert best.design == "2A-2M"
    curve = dynamics("a", [run])
    assert curve is not None
    assert curve.best.tolist() == [[3.0, 3.0, 1.5, 1.5]]
    (row,) = search_table([run]).rows
    assert (row["best_design"], row["best_mean"], row["best_validation"]) == ("2A-2M", 1.5, 1.5)
    assert [r["best_so_far"] for r in steps_table([run]).rows] == [3.0, 3.0, 1.5, 1.5]
    assert "loss" in {column.unit for column in best_designs_table([_row("4M", 3.0)]).columns}


def _row(design: str, validation: float) -> ArchiveRow:
    layers = {"4M": "MMMM", "2A-2M": "AAMM", "4A": "AAAA"}[design]
    return ArchiveRow(
        dataset="dclm", lower_is_better=True, design=design, layers=tuple(layers), validation=validation, test=None,
        evaluations=1, agents=("a.s0",), first_seen="a.s0/0", params=1, seconds=1.0,
    )  # fmt: skip


@pytest.mark.parametrize("method", ["top-k", "top-k-uniform"])
def test_aggregation_takes_the_lowest(method: Any) -> None:
    table = DesignTable.from_rows([_row("4M", 3.0), _row("2A-2M", 1.5), _row("4A", 2.0)])
    (pattern,) = base_patterns([AggregateSection(name="x", method=method, top_k=1)], table)
    assert pattern.pattern == "2A-2M"


def test_a_data_set_of_another_task_is_one_line() -> None:
    wrong = study(proxy={**TINY_STUDY["proxy"], "dataset": "dclm"})
    with pytest.raises(UserError, match=r"proxy\.dataset is dclm, but task .* is scored on babistories; leave it out"):
        search_units(wrong)


def test_an_unknown_agent_of_an_aggregate_is_one_line() -> None:
    section = {"name": "vote", "agents": ["greedy-ofline"]}
    with pytest.raises(UserError, match=r"'vote': unknown agent 'greedy-ofline'; did you mean 'greedy-offline'\?"):
        tiny_study(aggregate=[section])
    assert tiny_study(aggregate=[{**section, "agents": ["greedy-offline"]}])
