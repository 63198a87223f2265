"""Branched decays: one trunk serves all budgets, and each branch is to the last bit the run that was trained alone."""

from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

from aira_lib.errors import SpecError
from aira_lib.flow.run import Made, fetch, run_stage
from aira_lib.flow.scales import baseline_points
from aira_lib.flow.stage import STAGES
from aira_lib.flow.units import unit_of_point, units_of
from aira_lib.planning.estimate import estimate
from aira_lib.planning.training_plan import study_plan
from aira_lib.pretrain.branching import not_read, trunk_of
from aira_lib.pretrain.points import rate_check_points
from aira_lib.records import PretrainPoint, Score, TrainingRun, read_columns, read_row
from aira_lib.settings import Settings
from aira_lib.store import RecordFolder, open_store
from aira_lib.study import PretrainSection, RateCheckSection, Study
from aira_lib.training.one_device import OneDeviceTrainer
from aira_lib.training.trainer import StepResult
from tests.builders import TINY_STUDY, small_text, tiny_study, work_in

pytestmark = pytest.mark.usefixtures("plain_kernels")

OWN = {
    "d_model": 16, "n_heads": 2, "n_kv_heads": 1, "head_dim": 8, "d_ff": 32, "d_ssm": 32, "d_state": 8,
    "ssm_head_dim": 8, "seq_len": 32, "vocab_size": 256, "tokens_per_step": 128, "n_layers": 2,
}  # fmt: skip
STEP = 128 * (6 * (2 * 16**2 + 2 * 16 * 8) + 12 * 32 * 16 + 18 * 16 * 32)  # FLOPs of an attention and an MLP layer
BUDGETS = {10: 10.5 * STEP, 17: 17.5 * STEP, 25: 25.5 * STEP}  # by the steps that they pay for


def study(
    data: dict[str, Any] | None = None, budgets: tuple[float, ...] = tuple(BUDGETS.values()), branch: bool = True,
    optimizer: dict[str, Any] | None = None, **isoflop: Any,
) -> Study:  # fmt: skip
    pretrain = {
        "data": data or TINY_STUDY["pretrain"]["data"],
        "optimizer": {"warmup_steps": 4, **(optimizer or {})},
        "isoflop": {"scales": ["own"], "budgets": list(budgets), "seeds": [3], "branch": branch, **isoflop},
    }
    return tiny_study(scales={"own": OWN}, pretrain=pretrain)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return small_text(tmp_path_factory.mktemp("branching") / "text")


def by_steps(of: Study) -> dict[int, PretrainPoint]:
    return {point.steps: point for point in baseline_points(of) if point.protocol == "isoflop"}


def test_the_budgets_of_a_design_scale_and_seed_share_a_trunk_that_comes_first() -> None:
    points = baseline_points(study(seeds=[3, 4]))
    assert [point.protocol for point in points] == ["trunk"] * 2 + ["isoflop"] * 6
    trunk = points[0]
    assert trunk.id.startswith("Llama-3-2@own.trunk.")
    assert (trunk.seed, trunk.steps, trunk.branches, trunk.budget_flops) == (3, 20, (8, 13, 20), None)
    branches = [point for point in points if point.trunk == trunk.id]
    assert [(point.seed, point.steps, point.branch_step) for point in branches] == [
        (3, 10, 8),
        (3, 17, 13),
        (3, 25, 20),
    ]
    assert all(trunk_of(point) == trunk for point in branches)
    assert len({point.id for point in points}) == len(points)
    # The ids are those of runs that are trained alone, and so are their budgets.
    alone = baseline_points(study(seeds=[3, 4], branch=False))
    assert [point.id for point in points[2:]] == [point.id for point in alone]
    assert [point.flops for point in points[2:]] == [point.flops for point in alone]


def test_flops_are_counted_once() -> None:
    points = baseline_points(study())
    steps = 20 + (10 - 8) + (17 - 13) + (25 - 20)
    assert sum(point.flops_trained for point in points) == pytest.approx(steps * STEP)
    planned, _ = study_plan(study(), Settings(store="nowhere"), 0.4)
    assert sum(run.flops for run in planned) == pytest.approx(steps * STEP)
    assert sum(run.tokens for run in planned) == steps * 128
    note = next(run.note for run in planned if run.protocol == "isoflop")
    assert note.startswith("branches from Llama-3-2@own.trunk")
    row = next(row for row in estimate(study()) if row.stage == "pretrain")
    designs = 3  # two finds at most, stretched and stacked, and the baseline
    assert row.units == designs * 4
    assert row.flops == pytest.approx(designs * (0.8 * BUDGETS[25] + 0.2 * sum(BUDGETS.values())))


def test_runs_that_have_nothing_in_common_stay_alone() -> None:
    (point,) = baseline_points(study(budgets=(BUDGETS[10],)))
    assert (point.protocol, point.trunk, point.branches) == ("isoflop", None, ())


@pytest.mark.parametrize(
    ("optimizer", "line"),
    [
        ({"schedule": "cosine"}, "isoflop.branch needs optimizer.schedule: wsd with a decay_fraction between 0 and 1"),
        ({"decay_fraction": 0}, "isoflop.branch needs optimizer.schedule: wsd with a decay_fraction between"),
        ({"warmup_steps": None}, "isoflop.branch needs an absolute warm-up, .* optimizer.warmup_steps or optimizer.w"),
    ],
)
def test_what_cannot_branch_is_refused_when_the_study_is_read(optimizer: dict[str, Any], line: str) -> None:
    with pytest.raises(SpecError, match=line):
        study(optimizer=optimizer)


def test_a_check_of_learning_rates_waits_for_no_trunk() -> None:
    of = study(optimizer={"learning_rate": {"own": 0.01}})
    points = rate_check_points(of.pretrain, RateCheckSection(), baseline_points_designs(of))
    assert {point.protocol for point in points} == {"lr-check"}
    assert {point.trunk for point in points} == {None}
    assert [point.learning_rate for point in points] == [0.00333333, 0.01, 0.03]


def baseline_points_designs(of: Study) -> list[Any]:
    return list({point.design.name: point.design for point in baseline_points(of)}.values())


def made(of: Study, point: PretrainPoint, store: Path) -> tuple[Made, Path]:
    settings = Settings(store=str(store), scratch=store / "scratch")
    unit = unit_of_point("pretrain", of, point)
    done = run_stage(of, unit, settings)
    return done, RecordFolder(open_store(str(store)), unit.folder(of)).fetch(settings.scratch)


def results(folder: Path) -> dict[str, bytes]:
    """The loss curve and the final checkpoint."""
    names = [path for path in folder.rglob("*") if path.suffix in (".parquet", ".pt") or path.parent.name[:4] == "step"]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in names}


def test_a_branch_is_to_the_last_bit_the_run_that_was_trained_alone(data: dict[str, Any], tmp_path: Path) -> None:
    branched, alone = study(data), study(data, branch=False)
    for steps in (17, 25, 10):  # in any order: the first makes the trunk
        _, branch = made(branched, by_steps(branched)[steps], tmp_path / "branched")
        _, whole = made(alone, by_steps(alone)[steps], tmp_path / "alone")
        assert results(branch) == results(whole)
        assert len(read_columns(branch / "loss.parquet")["loss"]) == steps
        run, of_whole = (read_row(folder / "run.json", TrainingRun) for folder in (branch, whole))
        assert (run.point.trunk, of_whole.point.trunk) == (baseline_points(branched)[0].id, None)
        assert run.final_train_loss == of_whole.final_train_loss
        assert (run.steps, run.flops) == (of_whole.steps, of_whole.flops)
    (trunk,) = (tmp_path / "branched/tiny/pretrain").glob("*trunk*/*/checkpoints")
    assert sorted(path.name for path in trunk.iterdir()) == ["step_00000008", "step_00000013", "step_00000020"]
    again, _ = made(branched, baseline_points(branched)[0], tmp_path / "branched")
    assert again.reused


def test_a_branch_goes_on_from_a_trunk_that_another_machine_made(
    store_uri: str, data: dict[str, Any], tmp_path: Path
) -> None:
    of = study(data, budgets=(BUDGETS[10], BUDGETS[25]))
    trunk, first, _ = baseline_points(of)
    here, there = (Settings(store=store_uri, scratch=tmp_path / name) for name in ("here", "there"))
    run_stage(of, unit_of_point("pretrain", of, trunk), there)
    made_here = run_stage(of, unit_of_point("pretrain", of, first), here)
    folder = fetch(made_here.uri, here).path
    assert read_columns(folder / "loss.parquet")["step"] == list(range(1, 11))
    assert [path.name for path in (folder / "checkpoints").iterdir()] == ["step_00000010"]
    # A store that is a folder is read where it lies.
    fetched = {path.parent.name for path in (tmp_path / "here").rglob("checkpoints/*/*.pt") if "trunk" in str(path)}
    assert fetched == ({"step_00000008"} if store_uri.startswith("s3") else set())


def test_a_trunk_and_a_branch_that_were_interrupted_end_the_same(
    data: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of, original, last = study(data), OneDeviceTrainer.run, iter([5, 11, 23, 99])

    def killed(self: OneDeviceTrainer) -> Iterator[StepResult]:
        stop = next(last)
        for result in original(self):
            if result.step == stop:
                raise KeyboardInterrupt
            yield result

    _, whole = made(of, by_steps(of)[25], tmp_path / "whole")
    monkeypatch.setattr(OneDeviceTrainer, "run", killed)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            made(of, baseline_points(of)[0], tmp_path / "cut")  # in the trunk
    monkeypatch.setattr(OneDeviceTrainer, "run", original)
    made(of, baseline_points(of)[0], tmp_path / "cut")
    monkeypatch.setattr(OneDeviceTrainer, "run", killed)
    with pytest.raises(KeyboardInterrupt):
        made(of, by_steps(of)[25], tmp_path / "cut")
    monkeypatch.setattr(OneDeviceTrainer, "run", original)
    assert results(made(of, by_steps(of)[25], tmp_path / "cut")[1]) == results(whole)


def test_the_settings_of_each_run_can_be_read_again_by_its_ranks(
    data: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_again(section: PretrainSection, point: PretrainPoint, *_: Any) -> None:
        seen.append(point.protocol)
        assert PretrainSection.model_validate_json(section.model_dump_json()) == section
        assert PretrainPoint.model_validate_json(point.model_dump_json()) == point

    seen = list[str]()
    monkeypatch.setattr("aira_lib.pretrain.stage.pretrain", read_again)
    of = study(data)
    for point in baseline_points(of):
        STAGES.named("pretrain").make(of, unit_of_point("pretrain", of, point), [], work_in(tmp_path / point.id))
    assert seen == ["trunk", "isoflop", "isoflop", "isoflop"]


def test_where_the_trunk_diverged_its_branches_diverge(data: dict[str, Any], tmp_path: Path) -> None:
    wild: dict[str, Any] = {"learning_rate": 1e12, "clip": 1e30, "warmup_steps": 0}
    branched, alone = study(data, optimizer=wild), study(data, optimizer=wild, branch=False)
    _, branch = made(branched, by_steps(branched)[10], tmp_path / "branched")
    _, whole = made(alone, by_steps(alone)[10], tmp_path / "alone")
    assert read_row(branch / "run.json", TrainingRun).status == "diverged"
    assert results(branch) == results(whole)


def test_a_trunk_is_scored_by_its_last_checkpoint(data: dict[str, Any], tmp_path: Path) -> None:
    of = study(data)
    settings = Settings(store=str(tmp_path), scratch=tmp_path / "scratch")
    trunk = baseline_points(of)[0]
    trained, _ = made(of, trunk, tmp_path)
    unit = unit_of_point("evaluate", of, trunk)
    run_stage(of, unit, settings, [trained.uri])
    score = read_row(RecordFolder(open_store(str(tmp_path)), unit.folder(of)).fetch(tmp_path) / "score.json", Score)
    assert score.loss is not None


def test_of_a_trunk_a_run_reads_its_own_checkpoint_alone() -> None:
    trunk, *branches = baseline_points(study())
    files = [f"checkpoints/step_{step:08d}/model.00000-of-00001.pt" for step in trunk.branches]
    read = {
        point.steps: [file for file in files if not any(fnmatchcase(file, each) for each in not_read(point))]
        for point in (trunk, *branches)
    }
    assert read == {20: files[2:], 10: files[:1], 17: files[1:2], 25: files[2:]}


def test_a_further_budget_makes_another_trunk_and_leaves_the_branches() -> None:
    two, three = study(budgets=(BUDGETS[10], BUDGETS[25])), study()

    def keys(of: Study) -> dict[str, str]:
        return {unit.name: unit.key for unit in units_of("pretrain", of, baseline_points(of))}

    trunk, *branches = (point.id for point in baseline_points(two))
    before, after = keys(two), keys(three)
    assert before[trunk] != after[trunk]
    assert {name: before[name] for name in branches} == {name: after[name] for name in branches}
    assert set(keys(study(branch=False)).values()).isdisjoint(after.values())
