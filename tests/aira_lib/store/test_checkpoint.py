"""A run resumes from its newest whole checkpoint and ends with the bytes of one that was never interrupted."""

import json
import shutil
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from aira_lib.errors import StoreError
from aira_lib.records import Manifest
from aira_lib.store import RecordFolder, checkpoint, open_store

MANIFEST = Manifest(stage="pretrain", version=1, unit="p", key="k", study="s", spec_digest="d", section={})


class Machine:
    """A record's workspace on a machine whose scratch folder may be lost."""

    def __init__(self, uri: str, scratch: Path) -> None:
        self.uri, self.scratch, self.stack = uri, scratch, ExitStack()
        self.start_again()

    def start_again(self) -> None:
        self.stack.close()
        shutil.rmtree(self.scratch, ignore_errors=True)
        self.folder = RecordFolder(open_store(self.uri), "study/pretrain/p-1")
        self.attempt = self.stack.enter_context(self.folder.claim(self.scratch))
        self.path = self.attempt.path

    def save(self, step: int, **state: Any) -> None:
        checkpoint.save(self.path, self.attempt.push, step, {"step": step, **state})

    def names(self) -> list[str]:
        prefix = f"study/pretrain/p-1/{self.attempt.name}/checkpoints/"
        return [name.removeprefix(prefix) for name in self.folder.store.list(prefix.rstrip("/"))]


@pytest.fixture
def machine(store_uri: str, tmp_path: Path) -> Machine:
    return Machine(store_uri, tmp_path / "scratch")


def whole(*steps: int) -> list[str]:
    return [f"step_{step:08d}/{name}" for step in steps for name in ("manifest.json", "state.pt")]


def test_the_newest_two_are_kept_and_the_newest_is_resumed(machine: Machine) -> None:
    assert checkpoint.latest(machine.path) is None
    for step in (10, 20, 30):
        machine.save(step, weights=torch.full((3,), float(step)))
    assert machine.names() == whole(20, 30)
    machine.start_again()
    found = checkpoint.latest(machine.path)
    assert found is not None
    assert found[0] == found[1]["step"] == 30
    assert found[1]["weights"].tolist() == [30.0] * 3
    checkpoint.prune(machine.path, machine.attempt.push)
    assert machine.names() == whole(30)
    names = [entry.name for entry in machine.attempt.commit(MANIFEST).files]
    assert names == [f"checkpoints/{name}" for name in whole(30)]
    fetched = machine.folder.fetch(machine.scratch / "elsewhere")
    assert checkpoint.latest(fetched)[0] == 30  # type: ignore[index]


def _no_manifest(folder: Path) -> None:
    (folder / "manifest.json").unlink()


def _no_state(folder: Path) -> None:
    (folder / "state.pt").unlink()


def _torn_state(folder: Path) -> None:
    data = (folder / "state.pt").read_bytes()
    (folder / "state.pt").write_bytes(data[: len(data) // 2])


def _flipped_bit(folder: Path) -> None:
    data = bytearray((folder / "state.pt").read_bytes())
    data[len(data) // 2] ^= 1
    (folder / "state.pt").write_bytes(data)


def _torn_manifest(folder: Path) -> None:
    (folder / "manifest.json").write_text('{"step": 20, "fil')


def _odd_manifest(folder: Path) -> None:
    (folder / "manifest.json").write_text('{"files": [3]}')


@pytest.mark.parametrize("damage", [_no_manifest, _no_state, _torn_state, _flipped_bit, _torn_manifest, _odd_manifest])
def test_a_damaged_checkpoint_gives_way_to_the_one_before(damage: Any, tmp_path: Path) -> None:
    machine = Machine(str(tmp_path / "runs"), tmp_path / "scratch")
    machine.save(10)
    machine.save(20)
    damage(machine.path / "checkpoints/step_00000020")
    assert checkpoint.latest(machine.path) == (10, {"step": 10})
    # Going on from 10, the damaged 20 must not outlive the new 15, nor count as one of the two that are kept.
    machine.save(15)
    assert machine.names() == whole(10, 15)
    machine.save(20)
    assert checkpoint.latest(machine.path) == (20, {"step": 20})


def test_saving_a_step_again_replaces_it(machine: Machine) -> None:
    machine.save(10, x=1)
    machine.save(10, x=2)
    assert checkpoint.latest(machine.path) == (10, {"step": 10, "x": 2})
    machine.start_again()
    assert checkpoint.latest(machine.path) == (10, {"step": 10, "x": 2})


def train(machine: Machine, steps: int, stop_at: int | None = None) -> None:
    """A training loop in small: it resumes by itself, and may be interrupted between checkpoints."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Embedding(8, 16), torch.nn.Linear(16, 8, bias=False))
    model[1].weight = model[0].weight  # tied: wrong shapes would not matter here, shared storage does
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    curve: list[tuple[int, float]] = []
    first = 0
    found = checkpoint.latest(machine.path)
    if found:
        first, state = found
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        torch.set_rng_state(state["rng"])
        curve = state["curve"]
    for step in range(first, steps):
        if step == stop_at:
            return
        weight = model[0].weight
        loss = (weight[torch.randint(8, (4,))] - torch.rand(4, 16)).square().mean()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        curve.append((step, loss.item()))
        if (step + 1) % 3 == 0 or step + 1 == steps:
            state = {
                "model": model.state_dict(), "optimizer": optimizer.state_dict(), "rng": torch.get_rng_state(),
                "curve": curve, "step": step + 1, "lr": optimizer.param_groups[0]["lr"],
            }  # fmt: skip
            checkpoint.save(machine.path, machine.attempt.push, step + 1, state)


def test_a_resumed_run_ends_with_the_same_bytes(machine: Machine, tmp_path: Path) -> None:
    straight = Machine(str(tmp_path / "straight"), tmp_path / "unused")
    train(straight, 11)
    for stop in (1, 4, 8, 10):
        train(machine, 11, stop)
        machine.start_again()
    train(machine, 11)
    for each in (straight, machine):
        checkpoint.prune(each.path, each.attempt.push)
    assert straight.attempt.commit(MANIFEST).files == machine.attempt.commit(MANIFEST).files


def test_states_are_compact_and_plain(tmp_path: Path) -> None:
    machine = Machine(str(tmp_path / "runs"), tmp_path / "scratch")
    weights = torch.nn.Parameter(torch.arange(100_000, dtype=torch.float32))
    machine.save(1, view=weights[:4], nested=[(1, None, True, "x", np.float64(0.5))], text=b"".decode())
    _, state = checkpoint.latest(machine.path)  # type: ignore[misc]
    assert state == {"step": 1, "view": state["view"], "nested": [(1, None, True, "x", 0.5)], "text": ""}
    assert state["view"].tolist() == [0.0, 1.0, 2.0, 3.0]
    assert not state["view"].requires_grad
    size = json.loads((machine.path / "checkpoints/step_00000001/manifest.json").read_text())["files"][0]["bytes"]
    assert size < 10_000


def test_what_is_not_plain_data_is_refused_at_once(tmp_path: Path) -> None:
    machine = Machine(str(tmp_path / "runs"), tmp_path / "scratch")
    with pytest.raises(TypeError, match=r"state\['rng'\]\[1\] is a ndarray"):
        machine.save(1, rng=[0, np.zeros(3)])
    assert machine.names() == []


def test_a_full_disk_is_told_in_one_line(small_disk: Path, tmp_path: Path) -> None:
    machine = Machine(str(small_disk / "runs"), tmp_path / "scratch")
    machine.save(1)
    with pytest.raises(StoreError) as error:
        machine.save(2, weights=torch.zeros(1_000_000))
    assert "no space left on the disk" in str(error.value)
    assert "step_00000002/state.pt" in str(error.value)
    assert "\n" not in str(error.value)
    assert machine.names() == whole(1)
    assert checkpoint.latest(machine.path) == (1, {"step": 1})
    machine.save(2)
    assert machine.names() == whole(1, 2)
    machine.stack.close()  # the disk can only be taken away when nothing on it is open
