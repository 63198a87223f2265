"""SIGTERM in a training of one process: it saves between two steps, ends, and the next attempt goes on."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from aira_lib.pretrain.stage import pretrain
from aira_lib.training.checkpoint.manifest import finished_steps
from aira_lib.training.curve import read_curve
from aira_lib.training.one_device import OneDeviceTrainer
from aira_lib.training.stopping import told_to_stop
from aira_lib.training.trainer import StepResult
from tests.aira_lib.training import tiny
from tests.builders import work_in

pytestmark = pytest.mark.usefixtures("plain_kernels")


@pytest.mark.parametrize("step", [1, 4, 6])
def test_a_training_that_is_told_to_stop_saves_its_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    pretrain(tiny.section(), tiny.point(6), work_in(tmp_path / "whole"))
    original, before = OneDeviceTrainer.run, signal.getsignal(signal.SIGTERM)

    def told(self: OneDeviceTrainer) -> Iterator[StepResult]:
        for result in original(self):
            if result.step == step:
                os.kill(os.getpid(), signal.SIGTERM)
            yield result

    monkeypatch.setattr(OneDeviceTrainer, "run", told)
    cut = tmp_path / "cut"
    if step < 6:
        with pytest.raises(SystemExit) as ended:
            pretrain(tiny.section(), tiny.point(6), work_in(cut))
        assert ended.value.code == 143
        assert finished_steps(cut) == [step]
        assert len(read_curve(cut)) == step
        monkeypatch.setattr(OneDeviceTrainer, "run", original)
    pretrain(tiny.section(), tiny.point(6), work_in(cut))  # told in its last step it finishes
    assert (cut / "loss.parquet").read_bytes() == (tmp_path / "whole" / "loss.parquet").read_bytes()
    assert signal.getsignal(signal.SIGTERM) is before


def test_nobody_hears_of_it_outside_the_block() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with told_to_stop() as told:
        assert not told()
        os.kill(os.getpid(), signal.SIGTERM)
        assert told()
    assert signal.getsignal(signal.SIGTERM) is before
