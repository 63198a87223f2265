"""The study at equal compute: what it promises of its matrix, and a tiny version of it, from training to intervals."""

from pathlib import Path

import pytest

from aira_lib.evaluate.stage import evaluate
from aira_lib.flow import estimates
from aira_lib.flow.scales import baseline_points, baselines_at
from aira_lib.pretrain.stage import pretrain
from aira_lib.records import Score, TrainingRun, read_columns, read_row
from aira_lib.report.content import build
from aira_lib.report.inputs import ReportInputs
from aira_lib.report.loss_curves import decimated
from aira_lib.study import Study
from aira_lib.study.reading import load_study, parse_study
from tests.builders import small_text, work_in

STUDY = load_study(Path(__file__).parents[2] / "pipelines/compose/isoflop.yaml")

pytestmark = pytest.mark.usefixtures("plain_kernels")


def test_five_budgets_four_sizes_and_three_seeds_on_four_cells_of_each_design() -> None:
    points = baseline_points(STUDY)
    seeds: dict[tuple[str, str, float | None], list[int]] = {}
    for point in points:
        seeds.setdefault((point.design.base, point.design.scale.name, point.budget_flops), []).append(point.seed)
    assert len(seeds) == 2 * 4 * 5
    replicated = [cell for cell, own in seeds.items() if own == [0, 1, 2]]
    assert all(own == [0] for cell, own in seeds.items() if cell not in replicated)
    for design in STUDY.extrapolate.baselines:
        cells = [cell[1:] for cell in replicated if cell[0] == design]
        assert len(cells) == 4
        assert {scale for scale, _ in cells} == set(STUDY.trainable_scales())
    assert len(points) == 2 * (4 * 5 + 4 * 2) == estimates.of_training(STUDY).units


def test_two_cores_train_it_in_half_an_hour() -> None:
    seconds = sum(each(STUDY).seconds for each in (estimates.of_searches, estimates.of_training, estimates.of_scoring))
    assert seconds / 2 < 30 * 60


def _tiny(folder: Path) -> Study:
    """Two designs of it, shallow ones, three sizes and budgets of a few steps, one replicated cell, other text."""
    values = STUDY.model_dump(mode="json", exclude_defaults=True)
    for scale in values["scales"].values():
        scale |= {"n_layers": 4, "seq_len": 64, "tokens_per_step": 256}
    values["extrapolate"]["baselines"] = ["Llama 3.2", "Composer"]
    values["pretrain"]["data"] = small_text(folder / "text")
    values["pretrain"]["isoflop"] |= {
        "scales": ["d6", "d10", "d16"],
        "budgets": [4e7, 1e8, 1.5e8],
        "replicates": [{"scale": "d10", "budget": 1e8, "seeds": [1, 2]}],
    }
    values["evaluate"] = {"samples": 8, "batch_size": 8}
    return parse_study(values, "tiny isoflop")


def test_a_tiny_version_of_it_goes_from_training_to_margins(tmp_path: Path) -> None:
    study = _tiny(tmp_path)
    runs, scores, curves = [], [], {}
    for point in baseline_points(study):
        trained, scored = work_in(tmp_path / "runs" / point.id), work_in(tmp_path / "scores" / point.id)
        pretrain(study.pretrain, point, trained)
        evaluate(study.evaluate, study.pretrain.data, trained.path, scored)
        runs.append(read_row(trained.path / "run.json", TrainingRun))
        scores.append(read_row(scored.path / "score.json", Score))
        curves[point.id] = decimated(read_columns(trained.path / "loss.parquet"), point.steps)
    designs = baselines_at(study, study.trainable_scales())
    content = build(study, ReportInputs(designs=designs, runs=runs, scores=scores, curves=curves))
    tables = {table.name: table.rows for table in content.tables()}
    assert len(tables["isoflop_points"]) == 2 * 3 * 3
    assert [row["seeds"] for row in tables["isoflop_points"]].count(3) == 2
    assert {row["design"] for row in tables["frontier"]} == {"Llama 3.2", "Composer"}
    assert {"isoflop", "frontier", "loss_curves_isoflop"} <= {figure.name for figure in content.figures()}
    for row in (*tables["frontier_differences"], *(r for r in tables["frontier"] if r["slope"] is not None)):
        assert row.get("difference_margin", row.get("slope_margin")) is not None  # the replicated cell tells the noise
