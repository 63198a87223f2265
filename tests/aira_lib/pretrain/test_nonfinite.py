"""Steps whose loss or gradient is no number: nothing changes, the run stops or skips, the record names the batches."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from aira_lib.pretrain.stage import pretrain
from aira_lib.records import TrainingRun, read_columns, read_row
from aira_lib.training import checkpoint
from aira_lib.training.one_device import OneDeviceTrainer
from tests.aira_lib.training import tiny
from tests.builders import work_in

pytestmark = pytest.mark.usefixtures("plain_kernels")
Spoil = Callable[..., list[OneDeviceTrainer]]


@pytest.fixture
def spoil(monkeypatch: pytest.MonkeyPatch) -> Spoil:
    """Have the gradient (or the loss) of some steps be infinite; the trainers that were made."""

    def spoil(*steps: int, loss: bool = False) -> list[OneDeviceTrainer]:
        original, trainers = OneDeviceTrainer._backward, []

        def broken(self: OneDeviceTrainer) -> float:
            trainers.append(self)
            found = original(self)
            if self.step in steps and not loss:
                next(self.model.parameters()).grad[0, 0] = np.inf  # type: ignore[index]
            return np.inf if self.step in steps and loss else found

        monkeypatch.setattr(OneDeviceTrainer, "_backward", broken)
        return trainers

    return spoil


def run_of(folder: Path) -> TrainingRun:
    return read_row(folder / "run.json", TrainingRun)


def skipping(**changes: Any) -> Any:
    return tiny.section(optimizer={"on_nonfinite": "skip", **changes})


@pytest.mark.parametrize("loss", [False, True])
def test_a_spoilt_step_leaves_weights_and_moments(spoil: Spoil, loss: bool) -> None:
    spoil(2, loss=loss)
    trainer = OneDeviceTrainer(tiny.section(), tiny.point(4), tiny.batches(), "cpu")
    steps = trainer.run()
    next(steps), next(steps)
    before = _copied(trainer)
    assert not next(steps).finite
    assert all(torch.equal(value, before[name]) for name, value in _copied(trainer).items())
    assert next(steps).finite
    assert not all(torch.equal(value, before[name]) for name, value in _copied(trainer).items())


def _copied(trainer: OneDeviceTrainer) -> dict[str, torch.Tensor]:
    (model,), (moments,) = trainer.state()["model"], trainer.state()["optimizer"]
    flat = {f"{name}.{key}": value for name, each in moments.items() for key, value in each.items()}
    return {name: value.clone() for name, value in {**model, **flat}.items()}


def test_a_run_that_stops_keeps_its_last_finite_checkpoint(tmp_path: Path, spoil: Spoil) -> None:
    spoil(3)
    said: list[str] = []
    work = replace(work_in(tmp_path), progress=lambda done, total, note: said.append(note))
    pretrain(tiny.section(checkpoint_seconds=1e-9), tiny.point(8), work)
    assert said[-1] == "diverged at step 4"
    run = run_of(tmp_path)
    assert (run.status, run.steps, run.final_train_loss, run.nonfinite) == ("diverged", 4, None, (3,))
    newest = checkpoint.latest(tmp_path)
    assert newest
    assert 1 <= newest[0] <= 3
    assert all(value.isfinite().all() for value in newest[1]["model"].values())


def test_a_run_that_skips_goes_on_with_the_next_batch_and_names_those_it_skipped(tmp_path: Path, spoil: Spoil) -> None:
    spoil(2, 3, 6)
    pretrain(skipping(), tiny.point(8), work_in(tmp_path))
    run = run_of(tmp_path)
    assert (run.status, run.steps, run.nonfinite) == ("ok", 8, (2, 3, 6))
    curve = read_columns(tmp_path / "loss.parquet")
    assert [step for step, norm in zip(curve["step"], curve["grad_norm"], strict=True) if not np.isfinite(norm)] == [
        3, 4, 7
    ]  # fmt: skip
    assert run.final_train_loss == curve["loss"][-1]


def test_skipping_ends_after_so_many_steps_in_a_row(tmp_path: Path, spoil: Spoil) -> None:
    spoil(1, 3, 4, 5, 6)
    pretrain(skipping(max_skips=2), tiny.point(9), work_in(tmp_path))
    run = run_of(tmp_path)
    assert (run.status, run.steps, run.nonfinite) == ("diverged", 6, (1, 3, 4, 5))


def test_a_resumed_run_counts_the_steps_that_were_skipped_before(
    tmp_path: Path, spoil: Spoil, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil(3, 4, 5)
    section = tiny.section(checkpoint_seconds=1e-9, optimizer={"on_nonfinite": "skip", "max_skips": 2})
    original = OneDeviceTrainer.run

    def killed(self: OneDeviceTrainer) -> Any:
        for result in original(self):
            if result.step == 6:
                raise KeyboardInterrupt
            yield result

    monkeypatch.setattr(OneDeviceTrainer, "run", killed)
    with pytest.raises(KeyboardInterrupt):
        pretrain(section, tiny.point(9), work_in(tmp_path))
    newest = checkpoint.latest(tmp_path)
    assert newest
    monkeypatch.setattr(OneDeviceTrainer, "run", original)
    pretrain(section, tiny.point(9), work_in(tmp_path))
    assert (run_of(tmp_path).status, run_of(tmp_path).steps) == ("diverged", 6)
