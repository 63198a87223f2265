"""A trainer is chosen by name, and one from outside needs no change of the library."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from aira_lib.device import DeviceKind
from aira_lib.errors import UserError
from aira_lib.extrapolate.stage import describe
from aira_lib.flow.checks import check_study
from aira_lib.flow.entry import run_text
from aira_lib.flow.run import fetch, run_stage
from aira_lib.flow.scales import scales
from aira_lib.flow.units import unit_of_point
from aira_lib.pretrain.points import pretraining_points
from aira_lib.records import PretrainPoint, Score, TrainingRun, read_columns, read_row
from aira_lib.settings import Settings
from aira_lib.study import PretrainSection, Study, canonical_json
from aira_lib.training import checkpoint
from aira_lib.training.precision import effective_precision
from aira_lib.training.trainers import TRAINERS, check_trainer, trainer_in_key
from tests.builders import TINY_STUDY, tiny_study

ROOT = Path(__file__).parents[3]
PLUGIN = "tests.aira_lib.training.toy_trainer"


def study(trainer: str) -> Study:
    return tiny_study(pretrain={**TINY_STUDY["pretrain"], "trainer": trainer})


def point_of(chosen: Study) -> PretrainPoint:
    (scale,) = scales(chosen, ["nano"])
    design = describe("x@nano", base="x", kind="find", method="stretch", layers=("A", "M"), scale=scale, trainable=True)
    return pretraining_points(chosen.pretrain, [design])[0]


def test_a_trainer_from_outside_trains_and_is_scored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRA_PLUGINS", PLUGIN)
    chosen = study("toy")
    point, settings = point_of(chosen), Settings(store=str(tmp_path))
    made = run_stage(chosen, unit_of_point("pretrain", chosen, point), settings)
    record = fetch(made.uri, settings).path
    curve = read_columns(record / "loss.parquet")
    assert curve["step"] == list(range(1, point.steps + 1))
    assert set(curve["learning_rate"]) == {0.05}  # that of the toy: no schedule of the library's own
    assert curve["loss"][-1] < curve["loss"][0]
    assert read_row(record / "run.json", TrainingRun).status == "ok"
    names = sorted(path.name for path in record.rglob("*.pt"))
    assert names == ["model.00000-of-00002.pt", "model.00001-of-00002.pt"]
    scored = run_stage(chosen, unit_of_point("evaluate", chosen, point), settings, [made.uri])
    score = read_row(fetch(scored.uri, settings).path / "score.json", Score)
    assert score.loss == pytest.approx(curve["loss"][-1], rel=0.2)


def test_an_interrupted_run_of_it_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRA_PLUGINS", PLUGIN)
    chosen = tiny_study(pretrain={**TINY_STUDY["pretrain"], "trainer": "toy", "checkpoint_seconds": 1e-9})
    point, unit = point_of(chosen), unit_of_point("pretrain", chosen, point_of(chosen))
    whole = run_stage(chosen, unit, Settings(store=str(tmp_path / "whole")))
    calls = 0
    toy = TRAINERS.named("toy")
    original = toy.run  # type: ignore[attr-defined]

    def killed(self: Any) -> Any:
        nonlocal calls
        for result in original(self):
            calls += 1
            if result.step == point.steps // 2:
                raise KeyboardInterrupt
            yield result

    monkeypatch.setattr(toy, "run", killed)
    with pytest.raises(KeyboardInterrupt):
        run_stage(chosen, unit, Settings(store=str(tmp_path / "cut")))
    monkeypatch.setattr(toy, "run", original)
    cut = run_stage(chosen, unit, Settings(store=str(tmp_path / "cut")))
    assert calls == point.steps // 2
    first, second = (
        checkpoint.latest(fetch(made.uri, Settings(store=str(tmp_path / name))).path)
        for made, name in ((whole, "whole"), (cut, "cut"))
    )
    assert first is not None
    assert second is not None
    assert first[0] == second[0] == point.steps
    for part, values in first[1].items():
        assert all(torch.equal(value, second[1][part][name]) for name, value in values.items())


def test_the_one_device_trainer_is_there() -> None:
    assert "one-device" in TRAINERS
    check_trainer(PretrainSection())


def test_an_unknown_trainer_is_one_line_when_a_study_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = "pretrain.trainer: unknown trainer 'one-devise'; did you mean 'one-device'?"
    path = tmp_path / "s.yaml"
    path.write_text(yaml.safe_dump({**TINY_STUDY, "pretrain": {**TINY_STUDY["pretrain"], "trainer": "one-devise"}}))
    command = [sys.executable, "-m", "aira_lib.cli", "run", str(path), "--store", str(tmp_path / "runs")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, f"aira: {line}\n")
    assert not (tmp_path / "runs").exists()
    with pytest.raises(SystemExit) as ended:
        run_text("search", canonical_json(study("one-devise")), str(tmp_path / "runs"), "greedy-offline.s0")
    assert ended.value.code == 2
    assert capsys.readouterr().err == f"aira: {line}\n"
    fine = study("one-device")
    with pytest.raises(UserError, match="did you mean 'one-device'"):
        run_stage(study("one-devise"), unit_of_point("pretrain", fine, point_of(fine)), Settings(str(tmp_path)))


@pytest.mark.parametrize(
    ("precision", "kind", "effective"),
    [(None, "cpu", "fp32"), (None, "cuda", "bf16"), ("fp32", "cuda", "fp32"), ("bf16", "cpu", "bf16")],
)
def test_the_effective_precision(precision: Any, kind: DeviceKind, effective: str) -> None:
    assert effective_precision(PretrainSection(precision=precision), kind) == effective


def test_names_and_precision_need_no_torch() -> None:
    code = (
        "import sys, json; from aira_lib.training.precision import effective_precision\n"
        "from aira_lib.training.trainers import check_trainer; from aira_lib.study import PretrainSection\n"
        "check_trainer(PretrainSection()); effective_precision(PretrainSection(), 'cuda')\n"
        "print(json.dumps(sorted({'torch', 'numpy', 'pyarrow', 'boto3'} & set(sys.modules))))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []


def test_a_key_says_whose_trainer_it_is_and_its_version(monkeypatch: pytest.MonkeyPatch) -> None:
    assert trainer_in_key("one-device") == {}
    mine = type("Mine", (), {"__module__": "mine.trainers"})
    monkeypatch.setitem(TRAINERS._entries, "toy", mine)
    first = trainer_in_key("toy")
    monkeypatch.setattr(mine, "version", 2, raising=False)
    second = trainer_in_key("toy")
    monkeypatch.setitem(TRAINERS._entries, "toy", type("Mine", (), {"__module__": "yours.trainers"}))
    assert len({str(each) for each in (first, second, trainer_in_key("toy"))}) == 3


@pytest.mark.parametrize(
    ("trainer", "resources", "line"),
    [
        ("one-device", {"ranks_per_node": 2}, "'one-device' trains on one rank, and resources give it 2; valid for"),
        ("ddp", {"by_scale": {"nano": {"ranks_per_node": 99}}},
         "resources.pretrain, scale nano: 99 ranks share the 16 windows of a step, which is less than one each; take"),
    ],
)  # fmt: skip
def test_ranks_that_cannot_train_together_are_refused_when_a_study_is_read(
    trainer: str, resources: dict[str, Any], line: str
) -> None:
    changes: dict[str, Any] = {"pretrain": {**TINY_STUDY["pretrain"], "trainer": trainer}}
    with pytest.raises(UserError, match=line):
        check_study(tiny_study(**changes, resources={"pretrain": resources}))
    check_study(tiny_study(**changes, resources={"pretrain": {"ranks_per_node": 1 if trainer == "one-device" else 3}}))
