"""Downstream scores in the report equal slow computations from the items, and what is missing is named."""

import csv
import io
import math
import statistics
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from scipy import stats

from aira_lib.architecture.tables import read_table
from aira_lib.records import ITEMS, Downstream, FailedTask, Manifest
from aira_lib.report.blocks import Section, TableBlock, TextBlock
from aira_lib.report.columns import Row, Table
from aira_lib.report.comparison import compare
from aira_lib.report.content import build
from aira_lib.report.downstream_compared import Scoreboard, scoreboard
from aira_lib.report.downstream_items import pair
from aira_lib.report.downstream_numbers import downstream_numbers
from aira_lib.report.downstream_scored import note_sentences, scores_table
from aira_lib.report.downstream_sections import downstream_sections
from aira_lib.report.downstream_summary import downstream_headline
from aira_lib.report.gather import gather
from aira_lib.report.inputs import DownstreamRun, ReportInputs, TaskItems
from aira_lib.report.page import html_page
from tests.aira_lib.report.made_up import made_up_study, score
from tests.aira_lib.report.made_up_downstream import (
    CORE,
    SIX,
    Asked,
    design_point,
    made_up_downstream,
    made_up_record,
)

WANTED = ["Llama 3.2", "Nemotron-H"]
NORMS = [("hellaswag", 0), ("arc_e", 0), ("piqa", 0), ("sciq", 0), ("arc_c", 0)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("downstream")


@pytest.fixture(scope="module")
def runs(folder: Path) -> list[DownstreamRun]:
    return made_up_downstream(folder)


def inputs_of(runs: Sequence[DownstreamRun]) -> ReportInputs:
    losses = [score(run.record.point, 2.3 + 0.01 * place) for place, run in enumerate(runs)]
    return ReportInputs(downstream=runs, scores=losses)


def sections_of(runs: Sequence[DownstreamRun]) -> list[Section]:
    comparison = compare(inputs_of(runs).scores, [], WANTED)
    return downstream_sections(runs, scoreboard(runs, comparison, WANTED), comparison)


def tables_in(sections: Sequence[Section]) -> dict[str, Table]:
    blocks = [block for section in sections for block in section.blocks]
    return {block.table.name: block.table for block in blocks if isinstance(block, TableBlock)}


def words_of(sections: Sequence[Section]) -> str:
    return " ".join(block.text for section in sections for block in section.blocks if isinstance(block, TextBlock))


def board_of(runs: Sequence[DownstreamRun]) -> Scoreboard:
    made = scoreboard(runs, compare(inputs_of(runs).scores, [], WANTED), WANTED)
    assert made is not None
    return made


@pytest.fixture(scope="module")
def sections(runs: list[DownstreamRun]) -> list[Section]:
    return sections_of(runs)


@pytest.fixture(scope="module")
def tables(sections: list[Section]) -> dict[str, Table]:
    return tables_in(sections)


@cache
def rows_of(path: Path) -> list[dict[str, Any]]:
    return list(pq.read_table(path, columns=["task", "shots", "item", "acc", "acc_norm", "f1"]).to_pylist())


def by_item(folder: Path, place: int, seeds: int, asked: Asked, metric: str) -> list[float]:
    """The mean over seeds of every item of a design, straight from its files."""
    found: dict[int, list[float]] = {}
    for seed in range(seeds):
        for row in rows_of(folder / f"{place}-{seed}" / ITEMS):
            if (row["task"], row["shots"]) == asked:
                found.setdefault(row["item"], []).append(row[metric])
    return [statistics.fmean(found[item]) for item in sorted(found)]


def row_of(table: Table, **wanted: object) -> Row:
    (row,) = [row for row in table.rows if all(row.get(key) == value for key, value in wanted.items())]
    return row


def test_means_and_errors_are_those_of_the_items(
    folder: Path, runs: list[DownstreamRun], tables: dict[str, Table]
) -> None:
    table = tables["downstream_compared"]
    tasks = [by_item(folder, 2, 2, asked, "acc_norm") for asked in NORMS]
    row = row_of(table, measure="normalized accuracy", design="AIRAformer-D/stretched")
    assert row["value"] == pytest.approx(statistics.fmean(map(statistics.fmean, tasks)))
    errors = [statistics.variance(scores) / len(scores) for scores in tasks]
    assert row["stderr"] == pytest.approx(math.sqrt(sum(errors)) / len(NORMS))
    two = [r.record.tasks[list(SIX).index(("sciq", 0))].metrics["acc"].value for r in runs[4:6]]
    ours = row_of(tables["downstream_six"], design="AIRAformer-D/stretched", whose="this study")
    assert ours["sciq_acc_seeds_sd"] == pytest.approx(statistics.stdev(two))
    by_seed = [
        statistics.fmean(r.record.tasks[list(SIX).index(asked)].metrics["acc_norm"].value for asked in NORMS)
        for r in runs[4:6]
    ]
    assert row["seeds_sd"] == pytest.approx(statistics.stdev(by_seed))


def test_differences_are_paired_by_item_and_widened_by_seeds(
    folder: Path, runs: list[DownstreamRun], tables: dict[str, Table]
) -> None:
    table = tables["downstream_compared"]
    row = row_of(table, measure="normalized accuracy", design="AIRAformer-D/stretched")
    apart = [
        np.subtract(by_item(folder, 2, 2, asked, "acc_norm"), by_item(folder, 0, 2, asked, "acc_norm"))
        for asked in NORMS
    ]
    assert row["difference"] == pytest.approx(np.mean([each.mean() for each in apart]))
    over_items = sum(stats.sem(each) ** 2 for each in apart) / len(NORMS) ** 2
    # Each of five designs has two seeds: pooled variance, as of their differences over two.
    seeds = []
    for place in range(5):
        two = [r.record.tasks for r in runs[2 * place : 2 * place + 2]]
        one, other = (np.mean([t[list(SIX).index(a)].metrics["acc_norm"].value for a in NORMS]) for t in two)
        seeds.append((one - other) ** 2 / 2)
    over_seeds = np.mean(seeds) * (1 / 2 + 1 / 2)
    per_task = [(stats.sem(each) / len(NORMS)) ** 2 for each in apart]
    items_df = over_items**2 / sum(v**2 / (len(each) - 1) for v, each in zip(per_task, apart, strict=True))
    degrees = (over_items + over_seeds) ** 2 / (over_items**2 / items_df + over_seeds**2 / 5)
    assert row["margin"] == pytest.approx(stats.t.ppf(0.975, degrees) * math.sqrt(over_items + over_seeds))
    assert row["p"] == pytest.approx(2 * stats.t.sf(row["difference"] / math.sqrt(over_items + over_seeds), degrees))


def test_holm_is_over_the_designs_of_a_mean(tables: dict[str, Table]) -> None:
    rows = [r for r in tables["downstream_compared"].rows if r["measure"] == "accuracy, six tasks"]
    p = {r["design"]: float(str(r["p"])) for r in rows if r.get("p") is not None}
    assert len(p) == 4
    smallest = min(p, key=lambda name: p[name])
    assert next(r for r in rows if r["design"] == smallest)["p_holm"] == pytest.approx(min(1, 4 * p[smallest]))
    assert all((r["verdict"] == "within its error") == (float(str(r["p_holm"])) >= 0.05) for r in rows if r.get("p"))
    # What holds for all at once is wider than what holds for one.
    assert all(float(str(r["simultaneous"])) > float(str(r["margin"])) for r in rows if r.get("p"))


def test_a_single_task_is_tested_by_mcnemar(folder: Path) -> None:
    runs = made_up_downstream(folder / "single", {("piqa", 0): 180}, seeds=1, names=["Llama 3.2", "Nemotron-H"])
    row = row_of(tables_in(sections_of(runs))["downstream_differences"], metric="accuracy")
    one, other = (by_item(folder / "single", place, 1, ("piqa", 0), "acc") for place in (1, 0))
    wins, losses = (sum(a > b for a, b in zip(*each, strict=True)) for each in ((one, other), (other, one)))
    assert (row["items"], row["changed"]) == (180, wins + losses)
    assert row["p"] == pytest.approx(stats.binomtest(wins, wins + losses).pvalue)


def test_the_papers_numbers_stand_beside_ours(tables: dict[str, Table]) -> None:
    paper = next(r for r in read_table("isotoken") if (r["family"], r["variant"]) == ("AIRAformer-D", "stretched"))
    row = row_of(tables["downstream_six"], design="AIRAformer-D/stretched", whose="the paper, 1B")
    assert (row["loss"], row["loss_sd"], row["seeds"]) == (2.734, 0.001, 3)
    for column in ("arc_c_acc", "arc_c_norm", "hellaswag_norm", "winogrande_acc"):
        key = column.replace("norm", "acc_norm")
        assert row[key] == pytest.approx(float(paper[column]) / 100)
    assert (row["six_acc"], row["six_acc_norm"]) == (pytest.approx(0.597), pytest.approx(0.608))
    core = next(r for r in read_table("dclm_core") if (r["family"], r["variant"]) == ("AIRAformer-D", "stretched"))
    row = row_of(tables["core_14"], design="AIRAformer-D/stretched", whose="the paper, 1B")
    among = [task for task, _ in CORE]
    assert row["coqa_f1"] == pytest.approx(float(core["coqa"]) / 100)
    # Ten of fourteen tasks were scored here: the paper's mean is over the same ten.
    assert row["core_14"] == pytest.approx(statistics.fmean(float(core[task]) for task in among) / 100)
    finds = [r["design"] for r in tables["downstream_six"].rows if r["whose"] == "the paper, 1B"]
    assert sorted(map(str, finds)) == ["AIRAformer-D/stretched", "Llama 3.2", "Nemotron-H"]


def test_the_papers_differences_have_errors_of_their_own(tables: dict[str, Table]) -> None:
    row = row_of(tables["downstream_compared"], measure="accuracy, six tasks", design="AIRAformer-D/stretched")
    columns = {"arc_c": 1172, "arc_e": 2376, "hellaswag": 10042, "piqa": 1838, "sciq": 1000, "winogrande": 1267}
    models = {(r["family"], r["variant"]): r for r in read_table("isotoken")}
    shares = {
        name: [(float(models[key][f"{task}_acc"]) / 100, n) for task, n in columns.items()]
        for name, key in (("one", ("AIRAformer-D", "stretched")), ("other", ("Llama 3.2", "")))
    }
    variance = sum(p * (1 - p) / n for each in shares.values() for p, n in each) / 36
    assert row["paper_margin"] == pytest.approx(1.96 * math.sqrt(variance))
    difference = statistics.fmean(a[0] - b[0] for a, b in zip(shares["one"], shares["other"], strict=True))
    assert row["paper_difference"] == pytest.approx(difference)
    assert row["paper_verdict"] == "larger than its error"


def test_a_centred_mean_by_hand(folder: Path, tables: dict[str, Table]) -> None:
    row = row_of(tables["core_14"], design="Llama 3.2", whose="this study")
    baselines = {(r["task"], int(r["shots"])): r for r in read_table("downstream_tasks") if r["set"] == "core-14"}
    for version in ("core_v1", "core_v2"):
        values = []
        for asked in CORE:
            base = float(baselines[asked][version])
            found = statistics.fmean(by_item(folder, 0, 2, asked, baselines[asked]["metric"]))
            values.append((found - base) / (1 - base))
        assert row[f"centred_v{version[-1]}"] == pytest.approx(statistics.fmean(values))


@pytest.mark.parametrize("items", [1, 2])
def test_items_too_few_for_an_error_are_a_report_without_one(folder: Path, items: int) -> None:
    """As a first try with `limit: 1` makes them; of two items, both may differ alike."""
    runs = made_up_downstream(folder / f"few-{items}", dict.fromkeys(SIX | CORE, items))
    for run in runs:  # the baseline has all wrong, one design all right
        right = {"Llama 3.2": 0.0, "Nemotron-H": 1.0}.get(run.record.point.design.name.split("@")[0])
        if right is not None:
            for each in run.items.values():
                for metric, scores in each.scores.items():
                    each.scores[metric][:] = np.full_like(scores, right)
    sections = sections_of(runs)
    row = row_of(tables_in(sections)["downstream_compared"], design="Nemotron-H", measure="accuracy, six tasks")
    assert (row["difference"], row["margin"], row["verdict"]) == (1.0, None, "error unknown")
    assert row["simultaneous"] is None
    assert "nan" not in words_of(sections)


def test_a_task_that_failed_once_is_in_no_mean_and_named(folder: Path) -> None:
    failed = FailedTask(task="piqa", shots=0, reason="no <b>memory</b>")
    runs = made_up_downstream(folder / "one", SIX, seeds=1, names=["Llama 3.2", "AIRAformer-D/stretched"])
    without = {asked: items for asked, items in SIX.items() if asked[0] != "piqa"}
    runs[1] = made_up_record(folder / "one" / "again", design_point("AIRAformer-D/stretched"), without, [failed])
    sections = sections_of(runs)
    tables = tables_in(sections)
    row = row_of(tables["downstream_compared"], measure="accuracy, six tasks, 5 tasks", design="Llama 3.2")
    by_task = [by_item(folder / "one", 0, 1, asked, "acc") for asked in without]
    assert row["value"] == pytest.approx(statistics.fmean(map(statistics.fmean, by_task)))
    page = words_of(sections_of(runs))
    assert (
        "accuracy, six tasks is over 5 of its 6 tasks (not scored of every checkpoint, or on other items: PIQA)" in page
    )
    assert tables["downstream_failed"].rows[0]["reason"] == failed.reason
    assert "<b>memory" not in html_page(build(made_up_study(), inputs_of(runs)))
    paper = next(r for r in read_table("isotoken") if r["family"] == "Llama 3.2")
    printed = row_of(tables["downstream_six"], design="Llama 3.2", whose="the paper, 1B")
    five = [float(paper[f"{task}_acc"]) for task in ("hellaswag", "winogrande", "arc_e", "sciq", "arc_c")]
    assert printed["six_acc"] == pytest.approx(statistics.fmean(five) / 100)


def test_items_are_paired_by_place_and_digest() -> None:
    def run(keys: Sequence[tuple[int, str]], values: Sequence[float]) -> DownstreamRun:
        record = Downstream(point=design_point("Llama 3.2"), status="ok")
        return DownstreamRun(record, {("piqa", 0): TaskItems(keys, {"acc": np.array(values)})})

    one = run([(2, "c"), (0, "a"), (1, "b")], [1, 0, 1])
    other = run([(0, "a"), (1, "changed"), (2, "c"), (3, "d")], [1, 1, 0, 0])
    found = pair(("piqa", 0), {"one": [one], "other": [other]})
    assert found is not None
    assert (found.items, found.most) == (2, 4)
    assert found.scores["one"]["acc"].tolist() == [[0, 1]]
    assert found.scores["other"]["acc"].tolist() == [[1, 0]]
    assert pair(("piqa", 0), {"one": [one], "other": [run([(0, "z")], [1])]}) is None
    assert pair(("sciq", 0), {"one": [one]}) is None


def test_winogrande_of_the_six_is_no_core_14(folder: Path) -> None:
    runs = made_up_downstream(folder / "six", SIX, seeds=1)
    sections = sections_of(runs)
    assert [section.id for section in sections] == ["downstream", "zero-shot"]
    assert "Every design has one seed" in words_of(sections)
    assert "core_14" not in tables_in(sections)


def test_flags_and_splits_are_said(tables: dict[str, Table]) -> None:
    table = tables["downstream_tasks"]
    assert str(row_of(table, task="BoolQ")["flags"]).startswith("constant answer: 10 of 10; below chance: 10 of 10")
    row = row_of(table, task="ARC-C", shots=10)
    assert (row["split"], row["paper_split"], row["cut"]) == ("validation", "test", 3)
    assert "not the paper's split" in str(row["flags"])
    assert len(table.rows) == len(SIX | CORE)


def test_notes_stand_once_with_their_tasks(folder: Path) -> None:
    (run,) = made_up_downstream(folder / "notes", SIX, seeds=1, names=["Llama 3.2"])
    notes = {"piqa": "one; two", "sciq": "two"}
    tasks = tuple(task.model_copy(update={"note": notes.get(task.task, "")}) for task in run.record.tasks)
    noted = run._replace(record=run.record.model_copy(update={"tasks": tasks}))
    assert note_sentences([noted, noted]) == ["PIQA (0 shots): one.", "PIQA (0 shots), SciQ (0 shots): two."]
    both = tuple(task.model_copy(update={"note": "one; two" * (task.task in notes)}) for task in run.record.tasks)
    alike = run._replace(record=run.record.model_copy(update={"tasks": both}))
    assert note_sentences([alike]) == ["PIQA (0 shots), SciQ (0 shots): one; two."]


def test_the_best_of_several_is_named_as_picked(runs: list[DownstreamRun], sections: list[Section]) -> None:
    said = words_of(sections)
    assert "The best of 3 finds in core-14 is AIRAformer-D/stretched. It was picked by this very score" in said
    assert "larger than their error: AIRAformer-D/stretched in accuracy, six tasks" in said
    assert "standard error of 0.47 points, and the difference of two 0.67" in said
    numbers = downstream_headline(board_of(runs))["best_downstream"]
    assert isinstance(numbers, dict)
    assert numbers["design"] == "AIRAformer-D/stretched"
    assert downstream_numbers({"best_downstream": numbers})["best_downstream_core_14"] == numbers["core_14"]
    assert downstream_numbers({}) == {}
    assert sorted(numbers["core_14_tasks"]) == sorted(task for task, _ in CORE)


def test_every_score_is_in_a_file(runs: list[DownstreamRun]) -> None:
    rows = list(csv.DictReader(io.StringIO(scores_table(runs).csv())))
    assert len(rows) == sum(len(task.metrics) for run in runs for task in run.record.tasks)
    first = runs[0].record.tasks[0]
    found = next(r for r in rows if r["point"] == runs[0].record.point.id and r["metric"] == "acc")
    assert (float(found["value"]), float(found["stderr"])) == (first.metrics["acc"].value, first.metrics["acc"].stderr)


def test_a_study_without_tasks_has_the_report_that_it_had(folder: Path) -> None:
    runs = made_up_downstream(folder / "page", {("piqa", 0): 20}, seeds=1, names=["Llama 3.2", "AIRA-vote/stacked"])
    failed = FailedTask(task="sciq", shots=0, reason="<script>alert('x')</script>")
    runs[1] = runs[1]._replace(record=runs[1].record.model_copy(update={"failed": (failed,)}))
    asked, plain = (build(made_up_study(), inputs_of(each)) for each in (runs, []))
    assert {section.id for section in asked.sections} - {section.id for section in plain.sections} == {
        "downstream",
        "zero-shot",
    }
    assert not [table.name for table in plain.tables() if "downstream" in table.name or "core" in table.name]
    assert "best_downstream" not in plain.headline
    assert "ownstream" not in html_page(plain)
    assert "<script>alert" not in html_page(asked)
    assert "over 1 of its 6 tasks" in asked.summary[-1]


def test_the_order_of_records_does_not_matter(folder: Path) -> None:
    runs = made_up_downstream(folder / "order", {("piqa", 0): 20, ("arc_e", 0): 20}, seeds=2)
    orders = (replace(inputs_of(runs), downstream=each) for each in (runs, runs[2:] + runs[1::-1]))
    one, *others = ([table.csv() for table in build(made_up_study(), each).tables()] for each in orders)
    assert all(other == one for other in others)


def test_scores_at_equal_compute_and_diverged_runs_are_not_compared(folder: Path) -> None:
    budget = design_point("Llama 3.2", budget=2e13)
    run = made_up_record(folder / "compute", budget, {("piqa", 0): 20})
    assert "None of them was trained for equal tokens" in words_of(sections_of([run]))
    assert len(scores_table([run]).rows) == 2
    diverged = DownstreamRun(Downstream(point=design_point("Nemotron-H"), status="diverged"), {})
    (section,) = sections_of([diverged])
    assert "0 checkpoints were scored." in words_of([section])
    assert f"Diverged, and not scored: {diverged.record.point.id}." in words_of([section])


def test_no_baseline_no_differences(folder: Path) -> None:
    names = ["AIRA-vote/stretched", "AIRA-vote/stacked"]
    runs = made_up_downstream(folder / "finds", SIX, seeds=1, names=names)
    board = board_of(runs)
    assert board.reference is None
    assert all(not found.against for found in board.found)
    assert "No baseline was scored" in words_of(sections_of(runs))
    alone = made_up_downstream(folder / "alone", SIX, seeds=1, names=["Llama 3.2"])
    assert not board_of(alone).found[0].against


def test_records_are_gathered_with_their_items(folder: Path) -> None:
    at = design_point("Llama 3.2")
    made = made_up_record(folder / "gathered", at, {("copa", 0): 30})
    manifest = Manifest(stage="downstream", unit=at.id, key="0" * 64, study="laptop", spec_digest="", section={})
    wanted = at.model_copy(update={"aliases": ("AIRA-vote/stacked@micro",)})
    inputs = gather(made_up_study(), [(manifest, folder / "gathered")], [wanted], [], {})
    (found,) = inputs.downstream
    assert found.record.point.aliases == wanted.aliases
    assert found.items[("copa", 0)].scores["acc"].tolist() == made.items[("copa", 0)].scores["acc"].tolist()
