"""A loss curve that is not what a checkpoint was saved with: the one before is used, and the record is the same."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import torch

from aira_lib.pretrain.stage import pretrain
from aira_lib.training.checkpoint import Checkpoints, Shards
from aira_lib.training.checkpoint.manifest import finished_steps
from aira_lib.training.checkpoint.sharded import ShardedCheckpoints
from aira_lib.training.curve import FILE
from aira_lib.training.one_device import OneDeviceTrainer
from aira_lib.training.trainer import StepResult
from tests.aira_lib.training import tiny
from tests.builders import work_in

pytestmark = pytest.mark.usefixtures("plain_kernels")
ROW = 48
STEPS, KILLED = 6, 4


def flip(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


DAMAGE = {
    "flipped in a row of the newest alone": (lambda data: flip(data, 2 * ROW + 30), [3], 2),
    "flipped in a row of both": (lambda data: flip(data, 30), [2, 3], 0),
    "short": (lambda data: data[: 3 * ROW - 1], [3], 2),
    "missing": (None, [2, 3], 0),
}


@pytest.fixture
def interrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run that was killed, with checkpoints of its steps 2 and 3; beside it `whole`, which was not."""
    section, save, run = tiny.section(checkpoint_seconds=1e-9), Checkpoints.save, OneDeviceTrainer.run

    def at_once(self: Checkpoints, step: int, state: Mapping[str, Shards], asynchronous: bool = True) -> bool:
        return save(self, step, state, asynchronous=False)

    def killed(self: OneDeviceTrainer) -> Iterator[StepResult]:
        for result in run(self):
            if result.step == KILLED:
                raise KeyboardInterrupt
            yield result

    monkeypatch.setattr(Checkpoints, "save", at_once)
    pretrain(section, tiny.point(STEPS), work_in(tmp_path / "whole"))
    monkeypatch.setattr(OneDeviceTrainer, "run", killed)
    with pytest.raises(KeyboardInterrupt):
        pretrain(section, tiny.point(STEPS), work_in(tmp_path / "cut"))
    monkeypatch.setattr(OneDeviceTrainer, "run", run)
    assert finished_steps(tmp_path / "cut") == [2, 3]
    return tmp_path / "cut"


@pytest.mark.parametrize("damage", DAMAGE)
def test_the_checkpoint_before_is_used_and_the_record_is_that_of_a_whole_run(
    interrupted: Path, damage: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    change, unusable, resumed = DAMAGE[damage]
    path, loads = interrupted / FILE, list[int]()
    if change:
        path.write_bytes(change(path.read_bytes()))
    else:
        path.unlink()
    load = OneDeviceTrainer.load
    monkeypatch.setattr(
        OneDeviceTrainer, "load", lambda self, step, state: (loads.append(step), load(self, step, state))[1]
    )
    pretrain(tiny.section(checkpoint_seconds=1e-9), tiny.point(STEPS), work_in(interrupted))
    told = [line for line in caplog.messages if FILE in line]
    assert all(f"step_{step:08d}" in line for step, line in zip(reversed(unusable), told, strict=True))
    assert loads == ([resumed] if resumed else [])
    for name in ("loss.parquet", *_files_of_checkpoints(interrupted)):
        assert (interrupted / name).read_bytes() == (interrupted.parent / "whole" / name).read_bytes(), name


def _files_of_checkpoints(workspace: Path) -> list[str]:
    return [str(path.relative_to(workspace)) for path in (workspace / "checkpoints").rglob("*") if path.is_file()]


def test_checkpoints_of_ranks_are_as_strict(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with ShardedCheckpoints(tmp_path, beside=[FILE]) as checkpoints:
        for step in (1, 2):
            with (tmp_path / FILE).open("ab") as curve:
                curve.write(b"row")
            checkpoints.save(step, {"model": [{"w": torch.full((3,), float(step))}]}, asynchronous=False)
        found = [checkpoints.latest({"model": [{"w": torch.zeros(3)}]})]
        (tmp_path / FILE).write_bytes(b"rowrov")
        found.append(checkpoints.latest({"model": [{"w": torch.zeros(3)}]}))
    assert [each and each[0] for each in found] == [2, 1]
    assert f"step_00000002: {FILE} beside it differs" in caplog.text


def test_manifests_that_are_older_than_these_hashes_are_read(tmp_path: Path) -> None:
    state = {"model": [{"w": torch.ones(3)}]}
    Checkpoints(tmp_path).save(1, state, asynchronous=False)  # as then: without them
    assert "beside" not in (tmp_path / "checkpoints/step_00000001/manifest.json").read_text()
    found = Checkpoints(tmp_path, beside=[FILE]).latest()
    assert found
    assert found[0] == 1
