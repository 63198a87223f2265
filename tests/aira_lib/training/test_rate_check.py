"""A check of learning rates: which runs it makes, what their losses say of the peak, and the command."""

import math
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from aira_lib.architecture.scales import scale_named
from aira_lib.errors import SpecError
from aira_lib.extrapolate.stage import describe
from aira_lib.flow.scales import baseline_points
from aira_lib.planning.estimate import estimate
from aira_lib.pretrain.points import pretraining_points, rate_check_points
from aira_lib.records import PretrainPoint, ScaledDesign, Score, TrainingRun, read_columns
from aira_lib.study import OptimizerSection, PretrainSection, RateCheckSection, Study
from aira_lib.training.rate_check import RateCheck, rate_checks
from tests.aira_lib.cli.in_process import aira
from tests.builders import TINY_STUDY, small_text, tiny_study

pytestmark = pytest.mark.usefixtures("plain_kernels")

ISOFLOP = {"scales": ["nano", "micro"], "budgets": [4e11, 2e11], "seeds": [5, 6]}
OPTIMIZER = OptimizerSection.model_validate({"learning_rate": {"nano": 0.01}})


def at_nano(name: str, kind: Any, layers: tuple[str, ...]) -> ScaledDesign:
    scale = scale_named("nano", 3)
    return describe(f"{name}@nano", base=name, kind=kind, method="stretch", layers=layers, scale=scale, trainable=True)


DESIGNS = [at_nano("find", "find", ("A", "M")), at_nano("one", "baseline", ("A",)), at_nano("two", "baseline", ("M",))]


def section(**changes: Any) -> PretrainSection:
    isoflop = {**ISOFLOP, "scales": ["nano"]}
    return PretrainSection.model_validate({"optimizer": OPTIMIZER.model_dump(), "isoflop": isoflop, **changes})


def ids(points: list[PretrainPoint]) -> list[str]:
    return [point.id for point in points]


def test_one_baseline_is_trained_at_the_smallest_budget_and_its_run_at_the_peak_is_the_studys_own() -> None:
    points = rate_check_points(section(), RateCheckSection(), DESIGNS)
    others = ["one@nano.lr-check.2e11.lr3.33333e-3.s5", "one@nano.lr-check.2e11.lr3e-2.s5"]
    assert ids(points) == [others[0], "one@nano.isoflop.2e11.s5", others[1]]
    assert [point.learning_rate for point in points] == [0.00333333, None, 0.03]
    assert {(point.steps, point.seed, point.budget_flops) for point in points} == {(points[1].steps, 5, 2e11)}
    assert points[1] in pretraining_points(section(), DESIGNS)
    whole = ids(pretraining_points(section(lr_check={}), DESIGNS))
    assert whole == [*ids(pretraining_points(section(), DESIGNS)), *others]


def test_a_baseline_may_be_named_and_be_known_by_the_name_of_a_find_with_its_layers() -> None:
    named = rate_check_points(section(), RateCheckSection(design="two", factors=(0.5, 1, 2)), DESIGNS)
    assert {point.design.name for point in named} == {"two@nano"}
    alike = [at_nano("find", "find", ("A",)), *DESIGNS[1:]]
    points = rate_check_points(section(), RateCheckSection(), alike)
    assert {(point.design.name, point.aliases) for point in points} == {("find@nano", ("one@nano",))}


@pytest.mark.parametrize(
    ("check", "extrapolate", "line"),
    [
        ({"factors": [0.5, 2, 4]}, {}, "factors: 1, the peak itself, is not among them; add it"),
        ({"factors": [1, 2]}, {}, "factors: at least 3 entries are needed"),
        ({"factors": [1, 2, 2]}, {}, "factors: .*2.0 stands twice"),
        ({"factors": [1, 2, -1]}, {}, "factors.2: input should be greater than 0"),
        (
            {"design": "Lama"},
            {"baselines": ["Llama 3.2"]},
            "design: no baseline 'Lama'; .*'Llama 3.2'|valid: Llama 3.2",
        ),
        ({}, {"baselines": []}, "trains a baseline, and there is none; name one in extrapolate.baselines"),
    ],
)
def test_a_check_that_cannot_be_made_is_refused_when_the_study_is_read(
    check: dict[str, Any], extrapolate: dict[str, Any], line: str
) -> None:
    with pytest.raises(SpecError, match=line):
        tiny_study(pretrain={**TINY_STUDY["pretrain"], "lr_check": check}, extrapolate=extrapolate)


def checked(*losses: float | None, factors: tuple[float, ...] = (1 / 3, 1, 3), scored: bool = True) -> RateCheck:
    """A check whose runs ended with such losses, None where they diverged."""
    points = rate_check_points(section(), RateCheckSection(factors=factors), DESIGNS)
    other = pretraining_points(section(), DESIGNS)[0]
    runs, scores = [], []
    for point, loss in [(other, 1.0), *zip(points, losses, strict=True)]:
        status: Any = "ok" if loss is not None else "diverged"
        train = None if loss is None else loss if not scored else 5.0
        runs.append(
            TrainingRun(
                point=point, final_train_loss=train, steps=1, tokens=1, flops=1.0, status=status, data={}
            )
        )  # fmt: skip
        scores.append(
            Score(
                point=point, status=status, loss=loss if scored else None, loss_stderr=None, bits_per_byte=None,
                samples=0, tokens=0,
            )
        )  # fmt: skip
    (check,) = rate_checks(runs, scores, OPTIMIZER)
    return check


@pytest.mark.parametrize("scored", [True, False])
@pytest.mark.parametrize("best", [0.006, 0.01, 0.016])
def test_the_minimum_of_a_parabola_over_the_logarithm_is_found(best: float, scored: bool) -> None:
    losses = [3 + 0.1 * math.log(rate / best) ** 2 for rate in (0.00333333, 0.01, 0.03)]
    check = checked(*losses, scored=scored)
    assert check.best == pytest.approx(best, rel=1e-6)
    assert check.verdict == "fine"
    assert f"a parabola puts the best at {best:.2g}" in check.sentence


@pytest.mark.parametrize(
    ("losses", "verdict", "words"),
    [
        ((3.0, 2.9, 2.8), "too low", "at 0.03, the highest rate that was tried, .* raise pretrain.optimizer.learning"),
        ((2.8, 2.9, 3.0), "too high", "at 0.00333333, the lowest rate that was tried, .* lower pretrain.optimizer"),
        ((2.9, 2.8, None), "fine", "lowest loss of those tried; its neighbours make no parabola"),
        ((2.9, None, None), "too high", "the lowest rate that was tried"),
        ((None, None, None), "too high", "every rate that was tried diverged; try lower ones"),
    ],
)
def test_a_lowest_loss_at_an_edge_and_divergence_say_what_to_do(
    losses: tuple[float | None, ...], verdict: str, words: str
) -> None:
    check = checked(*losses)
    assert check.verdict == verdict
    assert check.best is None
    assert re.search(words, check.sentence), check.sentence
    assert [tried.diverged for tried in check.tried] == [loss is None for loss in losses]


def test_with_more_rates_the_best_may_lie_beside_the_peak() -> None:
    factors = (0.1, 0.3, 1, 3, 9)
    losses = [3 + 0.1 * math.log(factor / 2.9) ** 2 for factor in factors]
    check = checked(*losses, factors=factors)
    assert (check.verdict, check.at_edge) == ("too low", False)
    assert check.best == pytest.approx(0.029, rel=1e-6)
    assert "the lowest loss is at 0.03; a parabola puts the best at 0.029" in check.sentence


def test_runs_that_tried_no_rate_make_no_check() -> None:
    point = pretraining_points(section(), DESIGNS)[0]
    run = TrainingRun(point=point, final_train_loss=1.0, steps=1, tokens=1, flops=1.0, status="ok", data={})
    assert rate_checks([run], [], OPTIMIZER) == []


def study_with(**pretrain: Any) -> Study:
    return tiny_study(pretrain={**TINY_STUDY["pretrain"], "isotoken": None, "isoflop": ISOFLOP, **pretrain})


def test_the_estimate_counts_the_runs_that_are_the_checks_own() -> None:
    def trained(study: Study) -> tuple[int, float]:
        row = next(row for row in estimate(study) if row.stage == "pretrain")
        return row.units, row.flops

    before, after = trained(study_with()), trained(study_with(lr_check={}))
    assert after[0] - before[0] == 4
    assert after[1] - before[1] == pytest.approx(4 * 2e11)
    assert len(baseline_points(study_with(lr_check={}))) == len(baseline_points(study_with())) + 4


def test_the_command_trains_at_each_rate_and_the_study_goes_on_from_its_runs(tmp_path: Path) -> None:
    isotoken = {"scale": "nano", "tokens": 10_240, "seeds": [0]}
    pretrain = {**TINY_STUDY["pretrain"], "data": small_text(tmp_path / "text"), "isotoken": isotoken}
    path, store = tmp_path / "study.yaml", ("--store", str(tmp_path / "runs"))
    path.write_text(yaml.safe_dump({**TINY_STUDY, "pretrain": pretrain}))
    planned = aira("pretrain", str(path), "--lr-check", "--dry-run", *store)
    assert planned.code == 0, planned.err
    assert "0 of these 3 runs are finished" in planned.out
    assert not (tmp_path / "runs").exists()
    done = aira("pretrain", str(path), "--lr-check", "--lr-factors", "0.5,1,2", *store)
    assert done.code == 0, done.err
    assert "nano: 0.006 is " in done.out
    assert "`lr_check: {factors: [0.5, 1, 2]}` under pretrain" in done.out
    peaks = {}
    for curve in (tmp_path / "runs/tiny/pretrain").glob("*/*/loss.parquet"):
        peaks[curve.parents[1].name.rpartition("-")[0]] = max(read_columns(curve)["learning_rate"])
    assert peaks == {
        "Llama-3-2@nano.lr-check.10240t.lr3e-3.s0": 0.003,
        "Llama-3-2@nano.isotoken.10240t.s0": 0.006,
        "Llama-3-2@nano.lr-check.10240t.lr1.2e-2.s0": 0.012,
    }
    # A study with the section has the very same runs.
    path.write_text(yaml.safe_dump({**TINY_STUDY, "pretrain": {**pretrain, "lr_check": {"factors": [0.5, 1, 2]}}}))
    again = aira("pretrain", str(path), "--lr-check", *store)
    assert again.out.count("was there already") == 3
    assert "under pretrain" not in again.out


def test_the_cost_of_the_papers_check_is_told_where_its_text_is_not(tmp_path: Path) -> None:
    paper = Path(__file__).parents[3] / "pipelines/compose/paper.yaml"
    ended = aira("pretrain", str(paper), "--lr-check", "--dry-run", "--store", str(tmp_path / "runs"))
    # Three rates of 2e19 FLOPs at three scales, rounded down to steps.
    assert "All 9: 1.8e+20 FLOPs, about 125 GPU hours" in ended.out
    assert [f"{rate:g}" for rate in (1e-3, 3e-3, 9e-3, 2e-4, 6e-4, 1.8e-3, 1e-4, 3e-4, 9e-4)] == re.findall(
        r"Nemotron-H@\w+ *│ *([\d.e-]+)", ended.out
    )


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("--dry-run",), "--dry-run goes with --lr-check"),
        (("--lr-check", "--unit", "x"), "--unit names one run of the study"),
        (("--lr-check", "--lr-factors", "1,x"), "--lr-factors '1,x': name numbers such as 0.1,1,10"),
        (("--lr-check", "--lr-factors", "0.5,2,4"), "factors: 1, the peak itself, is not among them"),
        (("--lr-check", "--design", "Lama 3.2"), "no baseline 'Lama 3.2'; did you mean 'Llama 3.2'"),
    ],
)
def test_arguments_that_make_no_sense_are_one_line(tmp_path: Path, arguments: tuple[str, ...], line: str) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(TINY_STUDY))
    ended = aira("pretrain", str(path), *arguments, "--store", str(tmp_path / "runs"))
    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert line in ended.err
