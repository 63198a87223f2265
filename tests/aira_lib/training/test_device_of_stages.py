"""AIRA_DEVICE holds in every stage that computes, and is refused there before any work where it names no device."""

from pathlib import Path
from typing import Any

import pytest
import torch

from aira_lib.cli import doctor
from aira_lib.errors import UserError
from aira_lib.evaluate.stage import evaluate as evaluate_run
from aira_lib.evaluations.key import platform
from aira_lib.flow.run import run_stage
from aira_lib.flow.units import search_units
from aira_lib.pretrain.stage import pretrain
from aira_lib.proxy.evaluation import evaluate
from aira_lib.settings import Settings
from aira_lib.study import EvaluateSection
from tests.aira_lib.training.test_trainers import point_of, study
from tests.builders import tiny_study, work_in

LINE = r"^AIRA_DEVICE=cuda: PyTorch finds no CUDA device here"


@pytest.fixture
def no_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRA_DEVICE", "cuda")
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)


def _never(*_: Any, **__: Any) -> Any:
    raise AssertionError("work was begun")


@pytest.mark.usefixtures("no_cuda")
def test_the_proxy_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aira_lib.proxy.evaluation._course", _never)
    with pytest.raises(UserError, match=LINE):
        evaluate(("A",), tiny_study().proxy, 0)


@pytest.mark.usefixtures("no_cuda")
def test_a_search_refuses_before_its_first_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aira_lib.search.candidate.Candidates.make", _never)
    chosen = tiny_study()
    with pytest.raises(UserError, match=LINE):
        run_stage(chosen, search_units(chosen)[0], Settings(store=str(tmp_path)))


@pytest.mark.usefixtures("no_cuda")
def test_pretraining_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aira_lib.pretrain.stage.study_text", _never)
    chosen = study("one-device")
    with pytest.raises(UserError, match=LINE):
        pretrain(chosen.pretrain, point_of(chosen), work_in(tmp_path / "run"))
    assert list((tmp_path / "run").iterdir()) == []


def test_evaluation_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    chosen = study("one-device")
    pretrain(chosen.pretrain, point_of(chosen), work_in(tmp_path / "run"))
    request.getfixturevalue("no_cuda")
    monkeypatch.setattr("aira_lib.evaluate.stage.read_row", _never)
    with pytest.raises(UserError, match=LINE):
        evaluate_run(EvaluateSection(samples=2), chosen.pretrain.data, tmp_path / "run", work_in(tmp_path / "score"))
    assert list((tmp_path / "score").iterdir()) == []


def test_the_proxy_computes_where_the_variable_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a machine whose CUDA would be taken by itself."""
    seen: list[torch.device] = []

    def noted(*arguments: Any) -> Any:
        seen.append(arguments[3])
        raise KeyboardInterrupt

    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    monkeypatch.setattr("aira_lib.proxy.evaluation._course", noted)
    for name in ("cpu", "cuda:1"):
        monkeypatch.setenv("AIRA_DEVICE", name)
        with pytest.raises(KeyboardInterrupt):
            evaluate(("A",), tiny_study().proxy, 0)
    assert seen == [torch.device("cpu"), torch.device("cuda:1")]


def test_the_key_of_an_evaluation_says_the_kind_of_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    for name, kind in (("cpu", "cpu"), ("cuda:1", "cuda"), ("cpu", "cpu")):
        monkeypatch.setenv("AIRA_DEVICE", name)
        assert platform()["device"] == kind


@pytest.mark.parametrize(
    ("name", "here", "said"),
    [
        ("cpu", 1, (True, "not used: AIRA_DEVICE=cpu has the CPU compute the proxy, pretraining and evaluation")),
        ("cuda", 1, (True, "Some GPU computes the proxy, pretraining and evaluation (AIRA_DEVICE to choose)")),
        ("cuda:7", 1, (False, "AIRA_DEVICE=cuda:7: PyTorch finds cuda:0 here; unset it, or choose another device")),
        ("cpu", 0, (False, "the CPU computes the proxy, pretraining and evaluation; a CUDA build of torch and an "
                           "NVIDIA driver are needed")),
    ],
)  # fmt: skip
def test_doctor_says_what_computes(
    monkeypatch: pytest.MonkeyPatch, name: str, here: int, said: tuple[bool, str]
) -> None:
    monkeypatch.setenv("AIRA_DEVICE", name)
    monkeypatch.setattr(doctor, "has_cuda", lambda: here > 0)
    monkeypatch.setattr("torch.cuda.is_available", lambda: here > 0)
    monkeypatch.setattr("torch.cuda.device_count", lambda: here)
    monkeypatch.setattr("torch.cuda.get_device_name", lambda device: "Some GPU")
    assert doctor._cuda() == said
