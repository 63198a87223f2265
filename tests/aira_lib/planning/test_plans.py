import csv
import json
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from aira_lib.architecture.cost import flops_per_step
from aira_lib.architecture.pattern import parse
from aira_lib.architecture.scales import scale_named
from aira_lib.architecture.tables import read_table
from aira_lib.cli import app
from aira_lib.errors import UserError
from aira_lib.flow.scales import baseline_points
from aira_lib.planning.training_plan import gpu_hours, paper_plan
from aira_lib.study import Study
from tests.builders import TINY_STUDY

pytestmark = pytest.mark.usefixtures("plain_kernels")

RUNS = paper_plan(0.4)


def plan(*arguments: str) -> str:
    done = CliRunner().invoke(app, ["plan", *arguments], env={"COLUMNS": "200"})
    if done.exception:
        raise done.exception
    return done.output


def test_the_paper_has_39_and_285_runs() -> None:
    count = {s: sum(r.source == s for r in RUNS) for s in ("Table 2", "Table 3", "Table 10", "Table 11")}
    assert count == {"Table 2": 27, "Table 3": 12, "Table 10": 120, "Table 11": 165}
    assert len({(r.protocol, r.design, r.budget_flops, r.seed) for r in RUNS}) == 324
    assert {r.seed for r in RUNS if r.source == "Table 2"} == {0, 1, 2}
    assert len({r.design for r in RUNS if r.source == "Table 2"}) == 9


def test_steps_are_those_of_the_tables() -> None:
    printed = [int(row[b]) for row in read_table("steps") for b in ("2e19", "4e19", "8e19", "2e20", "4e20")]
    assert [r.steps for r in RUNS if r.protocol == "isoflop"] == printed
    assert {r.tokens for r in RUNS if r.protocol == "isotoken"} == {37_520_670_720}


def test_flops_are_steps_times_formula_7_and_near_the_budget() -> None:
    for run in RUNS:
        layers = tuple(p for p, n in run.counts.items() for _ in range(n))
        scale = scale_named(run.scale, 2 if run.source in ("Table 2", "Table 10") else 3)
        step = flops_per_step(layers, scale)
        assert run.flops == float(run.steps * step)
        if run.budget_flops:
            assert abs(run.flops - run.budget_flops) <= step
        assert run.gpu_hours == pytest.approx(run.flops / 989e12 / 0.4 / 3600)


def test_a_run_whose_counts_are_not_the_designs_says_so() -> None:
    noted = {r.design for r in RUNS if r.note}
    assert len(noted) == 14  # 13 of Table 11, and Composite stacked 1B
    assert "Composite/stacked@1B" in noted
    for run in RUNS:
        if run.pattern:
            layers = parse(run.pattern)
            assert {p: layers.count(p) for p in ("A", "M", "Mb")} == run.counts
        else:
            assert run.note


def test_hours_follow_the_mfu() -> None:
    assert gpu_hours(989e12 * 3600, 1.0) == pytest.approx(1)
    assert gpu_hours(989e12 * 3600, 0.25) == pytest.approx(4)


@pytest.mark.parametrize("named", [(), ("paper",), ("--study", "paper")])
def test_command_prints_totals(named: tuple[str, ...]) -> None:
    output = plan(*named)
    assert "324 runs" in output
    assert "39,647" in output
    assert "40% of 989 TFLOP/s" in output


def test_command_exports_every_run(tmp_path: Path) -> None:
    plan("--export", str(tmp_path / "p.csv"))
    plan("--export", str(tmp_path / "p.json"), "--mfu", "0.2")
    with open(tmp_path / "p.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    data = json.loads((tmp_path / "p.json").read_text(encoding="utf-8"))
    assert len(rows) == len(data) == 324
    assert [int(r["steps"]) for r in rows] == [r["steps"] for r in data]
    assert data[0]["gpu_hours"] == pytest.approx(2 * float(rows[0]["gpu_hours"]))


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("--mfu", "40"), "--mfu 40: a share"),
        (("--mfu", "0"), "--mfu 0: a share"),
        (("--mfu", "nan"), "--mfu nan: a share"),
        (("--export", "p.txt"), "ends in .csv or .json"),
        (("--export", "/nowhere/p.csv"), "its folder does not exist"),
        (("paper", "--study", "x.yaml"), "two studies are named"),
        (("nowhere.yaml",), "nowhere.yaml"),
    ],
)
def test_mistakes_are_one_line(arguments: tuple[str, ...], line: str) -> None:
    with pytest.raises(UserError, match=line.replace("(", r"\(")) as caught:
        plan(*arguments)
    assert "\n" not in str(caught.value)


def test_a_study_before_its_search_plans_its_baselines(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(yaml.safe_dump(TINY_STUDY))
    output = plan(str(path), "--store", str(tmp_path / "runs"))
    points = baseline_points(Study.model_validate(TINY_STUDY))
    assert points
    assert {p.design.kind for p in points} == {"baseline"}
    assert f"study tiny · {len(points)} runs" in output
    assert "The finds are not known yet" in output


def test_a_study_after_its_extrapolation_plans_its_finds(tmp_path: Path) -> None:
    path, store = tmp_path / "s.yaml", str(tmp_path / "runs")
    path.write_text(yaml.safe_dump(TINY_STUDY))
    for stage in ("search", "archive", "aggregate", "extrapolate"):
        assert CliRunner().invoke(app, [stage, str(path), "--store", store]).exit_code == 0
    plan(str(path), "--store", store, "--export", str(tmp_path / "p.json"))
    rows = json.loads((tmp_path / "p.json").read_text(encoding="utf-8"))
    assert {r["source"] for r in rows} >= {"find"}
    assert "not known yet" not in plan(str(path), "--store", store)
