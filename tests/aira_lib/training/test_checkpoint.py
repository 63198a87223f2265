"""A run resumes from its newest whole checkpoint and ends with the bytes of one that was never interrupted."""

import hashlib
import json
import pickle
import shutil
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from aira_lib.errors import StoreError
from aira_lib.records import Manifest
from aira_lib.store import RecordFolder, open_store
from aira_lib.training import checkpoint
from aira_lib.training.checkpoint import Checkpoints

STATE = "state.00000-of-00001.pt"
MANIFEST = Manifest(stage="pretrain", version=1, unit="p", key="k", study="s", spec_digest="d", section={})


def save(workspace: Path, push: Callable[[str], None], step: int, state: dict[str, Any], keep: int = 2) -> None:
    """Save at once."""
    with Checkpoints(workspace, push, keep) as checkpoints:
        assert checkpoints.save(step, state, asynchronous=False)


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
        """One part, `state`, in one file."""
        save(self.path, self.attempt.push, step, {"state": [{"step": step, **state}]})

    def names(self) -> list[str]:
        prefix = f"study/pretrain/p-1/{self.attempt.name}/checkpoints/"
        return [name.removeprefix(prefix) for name in self.folder.store.list(prefix.rstrip("/"))]


@pytest.fixture
def machine(store_uri: str, tmp_path: Path) -> Machine:
    return Machine(store_uri, tmp_path / "scratch")


def whole(*steps: int) -> list[str]:
    return [f"step_{step:08d}/{name}" for step in steps for name in ("manifest.json", STATE)]


def test_the_newest_two_are_kept_and_the_newest_is_resumed(machine: Machine) -> None:
    assert checkpoint.latest(machine.path) is None
    for step in (10, 20, 30):
        machine.save(step, weights=torch.full((3,), float(step)))
    assert machine.names() == whole(20, 30)
    machine.start_again()
    found = checkpoint.latest(machine.path)
    assert found is not None
    assert found[0] == found[1]["state"]["step"] == 30
    assert found[1]["state"]["weights"].tolist() == [30.0] * 3
    checkpoint.prune(machine.path, machine.attempt.push)
    assert machine.names() == whole(30)
    names = [entry.name for entry in machine.attempt.commit(MANIFEST).files]
    assert names == [f"checkpoints/{name}" for name in whole(30)]
    fetched = machine.folder.fetch(machine.scratch / "elsewhere")
    assert checkpoint.latest(fetched)[0] == 30  # type: ignore[index]


def _no_manifest(folder: Path) -> None:
    (folder / "manifest.json").unlink()


def _no_state(folder: Path) -> None:
    (folder / STATE).unlink()


def _torn_state(folder: Path) -> None:
    data = (folder / STATE).read_bytes()
    (folder / STATE).write_bytes(data[: len(data) // 2])


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def _flipped_bit(folder: Path) -> None:
    _flip(folder / STATE)


def _step_of_another(folder: Path) -> None:
    path = folder / "manifest.json"
    path.write_text(path.read_text().replace('"step": 20', '"step": 21'))


def _no_files(folder: Path) -> None:
    (folder / "manifest.json").write_text('{"step": 20, "files": []}\n')


def _older_format(folder: Path) -> None:
    path = folder / "manifest.json"
    path.write_text(path.read_text().replace(', "part": "state"', ""))


def _torn_manifest(folder: Path) -> None:
    (folder / "manifest.json").write_text('{"step": 20, "fil')


def _odd_manifest(folder: Path) -> None:
    (folder / "manifest.json").write_text('{"files": [3]}')


@pytest.mark.parametrize(
    "damage",
    [_no_manifest, _no_state, _torn_state, _flipped_bit, _torn_manifest, _odd_manifest, _step_of_another, _no_files,
     _older_format],
)  # fmt: skip
def test_a_damaged_checkpoint_gives_way_to_the_one_before(damage: Any, tmp_path: Path) -> None:
    machine = Machine(str(tmp_path / "runs"), tmp_path / "scratch")
    machine.save(10)
    machine.save(20)
    damage(machine.path / "checkpoints/step_00000020")
    assert checkpoint.latest(machine.path) == (10, {"state": {"step": 10}})
    # Going on from 10, the damaged 20 must not outlive the new 15, nor count as one of the two that are kept.
    machine.save(15)
    assert machine.names() == whole(10, 15)
    machine.save(20)
    assert checkpoint.latest(machine.path) == (20, {"state": {"step": 20}})


def test_saving_a_step_again_replaces_it(machine: Machine) -> None:
    machine.save(10, x=1)
    machine.save(10, x=2)
    assert checkpoint.latest(machine.path) == (10, {"state": {"step": 10, "x": 2}})
    machine.start_again()
    assert checkpoint.latest(machine.path) == (10, {"state": {"step": 10, "x": 2}})


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
        torch.set_rng_state(state["progress"]["rng"])
        curve = state["progress"]["curve"]
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
            progress = {
                "rng": torch.get_rng_state(), "curve": curve, "step": step + 1, "lr": optimizer.param_groups[0]["lr"],
            }  # fmt: skip
            weights = [{name: value} for name, value in model.state_dict().items()]
            parts = {"model": weights, "optimizer": [optimizer.state_dict()], "progress": [progress]}
            save(machine.path, machine.attempt.push, step + 1, parts)


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
    state = checkpoint.latest(machine.path)[1]["state"]  # type: ignore[index]
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
    assert f"step_00000002/{STATE}" in str(error.value)
    assert "\n" not in str(error.value)
    assert machine.names() == whole(1)
    assert checkpoint.latest(machine.path) == (1, {"state": {"step": 1}})
    machine.save(2)
    assert machine.names() == whole(1, 2)
    machine.stack.close()  # the disk can only be taken away when nothing on it is open


def sharded(step: int) -> dict[str, list[dict[str, Any]]]:
    """A model in three shards, an optimizer in two, and a number."""
    weights = {f"layer{i}.weight": torch.full((2, 3), float(step + i)) for i in range(3)}
    return {
        "model": [{name: value} for name, value in weights.items()],
        "optimizer": [{"layer0": {"exp_avg": torch.zeros(2)}}, {"layer1": {"exp_avg": torch.ones(2)}, "lr": 0.1}],
        "progress": [{"step": step}],
    }


def saved(machine: Machine, *steps: int) -> Machine:
    for step in steps:
        save(machine.path, machine.attempt.push, step, sharded(step))
    return machine


def test_shards_are_files_of_their_own_and_are_read_as_one(machine: Machine) -> None:
    saved(machine, 7)
    machine.start_again()
    assert [name.partition("/")[2] for name in machine.names()] == [
        "manifest.json",
        *(f"model.{i:05d}-of-00003.pt" for i in range(3)),
        *(f"optimizer.{i:05d}-of-00002.pt" for i in range(2)),
        "progress.00000-of-00001.pt",
    ]
    step, state = checkpoint.latest(machine.path)  # type: ignore[misc]
    assert step == 7
    assert {part: sorted(whole) for part, whole in state.items()} == {
        "model": ["layer0.weight", "layer1.weight", "layer2.weight"], "optimizer": ["layer0", "layer1", "lr"],
        "progress": ["step"],
    }  # fmt: skip
    assert [state["model"][f"layer{i}.weight"].unique().item() for i in range(3)] == [7.0, 8.0, 9.0]
    assert state["optimizer"]["layer1"]["exp_avg"].tolist() == [1.0, 1.0]


def test_the_manifest_measures_every_file(tmp_path: Path) -> None:
    machine = saved(Machine(str(tmp_path / "runs"), tmp_path / "scratch"), 7)
    folder = machine.path / "checkpoints/step_00000007"
    listed = json.loads((folder / "manifest.json").read_text())["files"]
    assert {file["name"] for file in listed} == {path.name for path in folder.glob("*.pt")}
    for file in listed:
        data = (folder / file["name"]).read_bytes()
        assert (file["bytes"], file["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())
        assert file["part"] == file["name"].partition(".")[0]


def test_weights_alone_need_no_file_of_the_optimizer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = saved(Machine(str(tmp_path / "runs"), tmp_path / "scratch"), 5, 7)
    folder = machine.path / "checkpoints/step_00000007"
    (folder / "optimizer.00000-of-00002.pt").unlink()
    (folder / "optimizer.00001-of-00002.pt").write_bytes(b"rubbish")
    opened: list[str] = []
    real = open

    def noted(path: Any, *arguments: Any, **options: Any) -> Any:
        opened.append(Path(str(path)).name)
        return real(path, *arguments, **options)

    monkeypatch.setattr("builtins.open", noted)
    monkeypatch.setattr("io.open", noted)
    step, state = checkpoint.latest(machine.path, parts=("model",))  # type: ignore[misc]
    assert (step, list(state), len(state["model"])) == (7, ["model"], 3)
    monkeypatch.undo()
    assert set(opened) == {"manifest.json", *(f"model.{i:05d}-of-00003.pt" for i in range(3))}
    # Who wants all of it goes back to the checkpoint before.
    assert checkpoint.latest(machine.path)[0] == 5  # type: ignore[index]


@pytest.mark.parametrize("number", range(3))
def test_a_damaged_shard_is_a_damaged_part(number: int, tmp_path: Path) -> None:
    machine = saved(Machine(str(tmp_path / "runs"), tmp_path / "scratch"), 5, 7)
    _flip(machine.path / f"checkpoints/step_00000007/model.{number:05d}-of-00003.pt")
    assert checkpoint.latest(machine.path, parts=("model",))[0] == 5  # type: ignore[index]
    assert checkpoint.latest(machine.path, parts=("optimizer",))[0] == 7  # type: ignore[index]


def test_a_manifest_that_lost_a_shard_is_damaged(tmp_path: Path) -> None:
    machine = saved(Machine(str(tmp_path / "runs"), tmp_path / "scratch"), 5, 7)
    path = machine.path / "checkpoints/step_00000007/manifest.json"
    manifest = json.loads(path.read_text())
    for lost in range(3):
        files = [file for at, file in enumerate(manifest["files"]) if at != lost]
        path.write_text(json.dumps({**manifest, "files": files}) + "\n")
        assert checkpoint.latest(machine.path, parts=("model",))[0] == 5  # type: ignore[index]


def test_a_part_that_a_checkpoint_lacks_is_looked_for_in_the_one_before(tmp_path: Path) -> None:
    machine = saved(Machine(str(tmp_path / "runs"), tmp_path / "scratch"), 5)
    save(machine.path, machine.attempt.push, 7, {"model": sharded(7)["model"]})
    assert checkpoint.latest(machine.path, parts=("model", "optimizer"))[0] == 5  # type: ignore[index]
    assert checkpoint.latest(machine.path, parts=("moments",)) is None


def test_another_number_of_shards_leaves_none_of_the_old_files(machine: Machine) -> None:
    saved(machine, 7)
    (machine.path / "checkpoints/step_00000007/manifest.json").unlink()  # as if its save had been cut short
    machine.attempt.push("checkpoints/step_00000007/manifest.json")
    save(machine.path, machine.attempt.push, 7, {"model": sharded(7)["model"][:1]})
    assert machine.names() == [f"step_00000007/{name}" for name in ("manifest.json", "model.00000-of-00001.pt")]


def test_the_manifest_is_pushed_last_and_removed_first(tmp_path: Path) -> None:
    machine = Machine(str(tmp_path / "runs"), tmp_path / "scratch")
    pushed: list[tuple[str, bool]] = []

    def push(name: str) -> None:
        pushed.append((name.rpartition("/")[2], (machine.path / name).exists()))

    save(machine.path, push, 1, sharded(1))
    assert [there for _, there in pushed] == [True] * 7
    assert [name for name, _ in pushed].index("manifest.json") == 6
    pushed.clear()
    save(machine.path, push, 2, sharded(2), keep=1)
    removed = [name for name, there in pushed if not there]
    assert len(removed) == 7
    assert removed[0] == "manifest.json"


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ({"model": [{"a": 1}, {"a": 2}]}, "part 'model' of a checkpoint has 'a' in two shards"),
        ({"model": []}, "part 'model' of a checkpoint has no shard"),
        ({"../model": [{"a": 1}]}, "a part of a checkpoint cannot be called"),
    ],
)
def test_odd_parts_are_refused_before_anything_is_written(state: Any, said: str, tmp_path: Path) -> None:
    machine = Machine(str(tmp_path / "runs"), tmp_path / "scratch")
    with pytest.raises(ValueError, match=said):
        save(machine.path, machine.attempt.push, 1, state)
    assert machine.names() == []


def test_a_crafted_file_runs_nothing(tmp_path: Path) -> None:
    """A pickle that calls something is refused although its manifest is right."""
    machine = saved(Machine(str(tmp_path / "runs"), tmp_path / "scratch"), 7)
    path = machine.path / "checkpoints/step_00000007/progress.00000-of-00001.pt"
    torch.save({"step": _Runs(tmp_path / "ran")}, path)
    manifest = path.with_name("manifest.json")
    entries = json.loads(manifest.read_text())
    entries["files"][-1] |= {"bytes": path.stat().st_size, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    manifest.write_text(json.dumps(entries) + "\n")
    with pytest.raises(pickle.UnpicklingError):
        checkpoint.latest(machine.path)
    assert not (tmp_path / "ran").exists()


class _Runs:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)
