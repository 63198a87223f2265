"""The report of searches that improve a training script: bits per byte, of which fewer are better, over a baseline."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from aira_lib.records import Node
from aira_lib.report.compared import compared
from aira_lib.report.improvements import best_seeds, improvements
from aira_lib.report.inputs import ReportInputs, SearchRun
from aira_lib.report.noise import common_floor, noise_floor
from aira_lib.report.program_sections import best_table, references
from aira_lib.report.scored_sections import scored_sentences
from aira_lib.report.stage import report
from aira_lib.study.reading import parse_study
from aira_lib.tasks.task import SearchTask
from tests.aira_lib.standings.finished_searches import task_folder
from tests.builders import node, work_in

# Mean 1.012, sample standard deviation 0.002: a gain of 0.004 and less is within the noise.
NOISE: dict[str, Any] = {"sigmas": 2.0, "baseline": {"scores": {"0": 1.010, "1": 1.012, "2": 1.014}}}


def step(number: int, bpb: float | None, plan: str = "", **other: Any) -> Node:
    status = "failed" if bpb is None else "ok"
    return node(number, None, bpb, None, status=status, evaluation=None, plan=plan, **other)


def search(agent: str, seed: int, bpb: list[float | None], told: dict[str, Any] | None = None) -> SearchRun:
    nodes = [step(n, each, f"edit {n} of seed {seed}\nand why", code=f"LR = {n}\n<b>") for n, each in enumerate(bpb)]
    return SearchRun(agent, seed, nodes, 6, True, told={"noise": NOISE} if told is None else told)


def searches() -> list[SearchRun]:
    return [
        search("opus", 0, [1.020, 1.009, None, 1.0, 1.004, 0.998]),
        search("opus", 1, [1.013, 0.995, 1.011]),
        search("gpt", 0, [1.02, None]),
        search("gpt", 1, [None]),
    ]


def test_improvements_begin_at_the_baseline_and_are_weighed_by_its_noise() -> None:
    found = improvements(searches()[0])
    assert [each.node.step for each in found] == [1, 3, 5]
    assert [each.gain for each in found] == pytest.approx([0.003, 0.009, 0.002])
    assert [each.within_noise for each in found] == [True, False, True]
    assert improvements(searches()[2]) == []


def test_with_a_noise_floor_what_is_within_the_noise_is_told_and_not_kept() -> None:
    nodes = [
        step(0, 1.012, operator="baseline"), step(1, 1.009, within_noise=True), step(2, 1.010, within_noise=True),
        step(3, 1.005), step(4, 1.006),
    ]  # fmt: skip
    found = improvements(SearchRun("a", 0, nodes, 4, True, told={"noise": NOISE}))
    assert [(each.node.step, each.within_noise, each.kept) for each in found] == [
        (1, True, False), (2, True, False), (3, False, True)
    ]  # fmt: skip
    assert [each.gain for each in found] == pytest.approx([0.003, 0.002, 0.007])


def test_a_search_that_gained_nothing_beyond_the_noise_is_said_to_have_improved_nothing() -> None:
    nodes = [step(0, 1.012, operator="baseline"), step(1, 1.009, within_noise=True)]
    task, made = (
        SearchTask("bits", (), "BPB", lower_is_better=True),
        SearchRun("a", 0, nodes, 2, True, told={"noise": NOISE}),
    )
    (row,) = best_table(task, [made]).rows
    assert (row["step"], row["improvements"], row["within_noise"]) == (0, 0, True)
    assert scored_sentences(task, [made]) == [
        "1 agent wrote 1 program for `bits` in 1 search, of which 0 submitted a gain beyond the noise of its baseline."
    ]
    assert len(improvements(made)) == 1


def test_without_a_baseline_the_first_valid_step_is_one_whose_gain_nobody_knows() -> None:
    found = improvements(search("a", 0, [None, 1.5, 1.6, 1.4], told={}))
    assert [(each.node.step, each.within_noise) for each in found] == [(1, None), (3, None)]
    assert found[0].gain is None
    assert found[1].gain == pytest.approx(0.1)


def test_where_more_is_better_gains_are_still_positive() -> None:
    up = search("a", 0, [0.5, 0.4, 0.7], told={"noise": {"baseline": {"scores": {"0": 0.45}}}})._replace(
        lower_is_better=False
    )
    assert [(each.node.step, each.gain) for each in improvements(up)] == [
        (0, pytest.approx(0.05)), (2, pytest.approx(0.2))
    ]  # fmt: skip
    assert improvements(up)[0].within_noise is None  # one run has no spread


def test_a_step_that_ranks_nowhere_improves_nothing() -> None:
    nodes = [step(0, 1.5), step(1, float("nan")), step(2, 1.4)]
    assert [each.node.step for each in improvements(SearchRun("a", 0, nodes, 3, True))] == [0, 2]


def test_the_best_seed_is_that_of_the_fewest_bits() -> None:
    assert {agent: run.seed for agent, run in best_seeds(searches()).items()} == {"opus": 1, "gpt": 0}


def test_runs_of_the_baseline_that_searches_share_count_once() -> None:
    other = {"noise": {"sigmas": 3.0, "baseline": {"scores": {"0": 1.010, "1": 1.0}}}}
    floor = common_floor([*searches(), search("x", 0, [1.0], told=other)])
    assert floor
    assert sorted(score for _, score in floor.scores) == [1.0, 1.010, 1.012, 1.014]
    assert floor.sigmas == 3.0
    assert noise_floor({}) is None


def test_what_simple_readings_reach_is_read_from_the_record() -> None:
    said = "majority 15.5%, root operator 19.0%, two levels 100.0%"
    found = references([search("a", 0, [], told={"data": {"ceilings": said, "size": "smoke"}})])
    assert found == pytest.approx({"majority": 0.155, "root operator": 0.19, "two levels": 1.0})


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("autoresearch")
    folder = task_folder(root, "TextBitsPerByte", lower_is_better=True, metric="BitsPerByte")
    agents = [{"name": "opus", "model": "openai/x", "seeds": 2}, {"name": "gpt", "model": "openai/x", "seeds": 2}]
    study = parse_study({"name": "bits", "task": {"folder": str(folder)}, "agents": agents}, "made up")
    costs = {
        "described_flops_exponent": 1.72, "described_memory_exponent": 1.0, "described_parameters": 3354.0,
        "described_base_ratio": 1.05, "described_steps": 200.0, "train_seconds": 80.0,
    }  # fmt: skip
    made = searches()
    made[1] = made[1]._replace(
        nodes=[
            each.model_copy(update={"measures": {"bpb_stderr": 0.003, **costs}} if each.step == 1 else {})
            for each in made[1].nodes
        ]
    )
    winner = {"mean": 0.9982, "sigma": 0.001}
    made[1] = made[1]._replace(told={"noise": {**NOISE, "winner": winner}})
    made[0] = made[0]._replace(told={"noise": NOISE, "data": {"source": "the standard library's text"}})
    work = work_in(root / "report")
    report(study, ReportInputs(searches=made), work)
    return work.path


def test_tables_have_the_best_of_each_seed_and_how_it_came_about(written: Path) -> None:
    summary = json.loads((written / "summary.json").read_text())
    best = {(row["agent"], row["seed"]): row for row in summary["best_programs"]}
    assert best["opus", 1]["gain"] == pytest.approx(0.017)
    assert best["opus", 1]["within_noise"] is False
    assert best["opus", 1]["growth"] == 1.72
    assert best["opus", 1]["validation_stderr"] == 0.003
    assert (best["opus", 1]["again"], best["opus", 1]["again_sd"]) == (0.9982, 0.001)
    assert best["gpt", 0]["gain"] == pytest.approx(-0.008)
    assert best["gpt", 1]["validation"] is None
    assert best["opus", 0]["valid"] == "5 of 6"
    assert [(row["agent"], row["seed"], row["step"]) for row in summary["improvements"]] == [("opus", 1, 1)]
    assert {"what": "data: source", "is": "the standard library's text"} in summary["measured_on"]


def test_what_programs_cost_stands_beside_their_scores(written: Path) -> None:
    summary = json.loads((written / "summary.json").read_text())
    first, second, *others = summary["program_costs"]
    scores = [row["validation"] for row in (first, second, *others)]
    assert scores == sorted(scores)
    assert (first["agent"], first["seed"], first["step"]) == ("opus", 1, 1)
    assert (first["flops_exponent"], first["memory_exponent"], first["growth"]) == (1.72, 1.0, "not sub-quadratic")
    assert (first["parameters"], first["base_ratio"], first["steps_per_second"]) == (3354, 1.05, 2.5)
    assert second["growth"] is None
    page = (written / "report.html").read_text()
    assert "described by a process that holds the submitted code, not by a judge" in page
    assert page.count("3,354") == 1  # the table of the best seeds leaves parameters to this one
    assert page.count("power of length") == 2
    with (written / "tables/program_costs_of_all.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 9


def test_runs_of_studies_are_compared_by_the_best_program(written: Path) -> None:
    found = compared(json.loads((written / "summary.json").read_text()))
    assert found["best_program_validation"] == 0.995
    assert found["best_program_gain"] == pytest.approx(0.017)
    assert "best_program_test" not in found
    assert found["best_program_described_work_exponent"] == 1.72


def test_improvements_of_all_seeds_are_a_file(written: Path) -> None:
    with (written / "tables/improvements_of_all.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["seed"], row["step"], row["within_noise"]) for row in rows] == [
        ("0", "1", "true"), ("0", "3", "false"), ("0", "5", "true"), ("1", "1", "false")
    ]  # fmt: skip
    assert rows[0]["change"] == "edit 1 of seed 0"


def test_the_page_shows_figures_the_baseline_and_the_best_program_as_text(written: Path) -> None:
    page = (written / "report.html").read_text()
    for words in ('id="figure-trajectories"', 'id="figure-best_by_seed"', "within its noise",
                  "1.0120 ± 0.0020", "LR = 1\n&lt;b&gt;", "lower is better"):  # fmt: skip
        assert words in page, words
    assert "validation loss" not in page
    assert (written / "figures/trajectories.png").exists()
    assert "its text is in `report.html`" in (written / "report.md").read_text()
