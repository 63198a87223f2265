"""What the report says of trainings themselves: the check of learning rates, and how fast they were."""

import statistics
from dataclasses import replace

import pytest

from aira_lib.records import Score, TrainingRun
from aira_lib.report.content import build
from aira_lib.report.inputs import ReportInputs
from aira_lib.report.page import html_page
from aira_lib.report.rates import rates_table
from aira_lib.report.throughput import throughput_table
from aira_lib.training.rate_check import rate_checks
from tests.aira_lib.report.made_up import made_up_study, point, scale, scaled, score, training_run

STUDY = made_up_study(
    pretrain={
        "optimizer": {"learning_rate": 3e-3, "reference_width": 64},
        "isoflop": {"scales": ["nano"], "budgets": [2e13]},
        "lr_check": {},
    },
    extrapolate={"baselines": ["Llama 3.2"]},
)


def checked(losses: dict[float | None, float | None]) -> tuple[list[TrainingRun], list[Score]]:
    """Runs and scores of one design at peaks of its own; None is the study's."""
    design = scaled("Llama 3.2", "Llama 3.2", "baseline", ("A", "M"), scale("nano", 64), True)
    made = []
    for rate, loss in losses.items():
        at = point(design, 0, 2e13)
        if rate is not None:
            at = at.model_copy(update={"id": f"check.{rate}", "protocol": "lr-check", "learning_rate": rate})
        made.append(score(at, loss))
    return [training_run(each) for each in made], made


def test_a_check_of_learning_rates_is_a_section_with_its_verdict() -> None:
    runs, scores = checked({1e-3: 2.6, None: 2.5, 9e-3: None})
    rows = rates_table(rate_checks(runs, scores, STUDY.pretrain.optimizer)).rows
    assert [(row["rate"], row["loss"], row["note"]) for row in rows] == [
        (1e-3, 2.6, ""), (3e-3, 2.5, "lowest"), (9e-3, None, "diverged"),
    ]  # fmt: skip
    assert [row["own"] for row in rows] == [False, True, False]
    content = build(STUDY, ReportInputs(runs=runs, scores=scores))
    text = html_page(content)
    assert '<section id="rates">' in text
    assert "nano: 0.003 is fine for Llama 3.2@nano" in text
    assert "learning_rates" in {figure.name for figure in content.figures()}


def test_runs_of_a_check_are_no_part_of_equal_compute() -> None:
    runs, scores = checked({1e-3: 1.0, None: 2.5, 9e-3: 1.1})
    tables = {table.name: table.rows for table in build(STUDY, ReportInputs(runs=runs, scores=scores)).tables()}
    assert [row["loss_mean"] for row in tables["isoflop_points"]] == [2.5]


def test_without_a_check_there_is_no_such_section() -> None:
    runs, scores = checked({None: 2.5})
    content = build(STUDY, ReportInputs(runs=runs, scores=scores))
    assert "rates" not in {section.id for section in content.sections}
    every, unscored = checked({1e-3: None, None: None, 9e-3: None})
    diverged = build(STUDY, ReportInputs(runs=every, scores=unscored))
    assert "Every rate that was tried diverged" in html_page(diverged)


def test_throughput_is_the_mean_over_runs_with_its_spread() -> None:
    runs, _ = checked({1e-3: 2.6, None: 2.5, 9e-3: 2.4})
    speeds = [90_000.0, 110_000.0, 106_000.0]
    timed = [
        run.model_copy(update={"tokens_per_second": speed, "mfu": 0.4, "device": "cuda", "ranks": 1})
        for run, speed in zip(runs, speeds, strict=True)
    ]
    (row,) = throughput_table(timed).rows
    assert (row["runs"], row["device"], row["ranks"]) == (3, "cuda", 1)
    assert row["mfu"] == pytest.approx(0.4)
    assert row["tokens_per_second"] == pytest.approx(statistics.mean(speeds))
    assert row["tokens_per_second_sd"] == pytest.approx(statistics.stdev(speeds))
    elsewhere = [*timed[:2], timed[2].model_copy(update={"device": "cpu", "mfu": None})]
    assert [(row["device"], row["runs"], row["mfu"]) for row in throughput_table(elsewhere).rows] == [
        ("cpu", 1, None), ("cuda", 2, pytest.approx(0.4)),
    ]  # fmt: skip


def test_speeds_stand_where_equal_studies_may_differ() -> None:
    runs, scores = checked({None: 2.5})
    inputs = ReportInputs(runs=runs, scores=scores, timings={"pretrain": 2.0})
    assert "throughput" not in {table.name for table in build(STUDY, inputs).tables()}
    timed = replace(inputs, runs=[runs[0].model_copy(update={"tokens_per_second": 12_345.0})])
    text = html_page(build(STUDY, timed))
    before, rest = text.split("<!-- seconds -->")
    inside, after = rest.split("<!-- /seconds -->")
    assert "12,345" in inside
    assert "12,345" not in before + after
