"""Several ranks save together: resharded on load, and where one fails the others neither wait nor count on it."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from aira_lib.training import checkpoint
from tests.aira_lib.training.ranks_of_checkpoints import SAVED, STEPS

ROOT = Path(__file__).parents[3]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the program left; one process that imports torch serves all ranks."""
    folder = tmp_path_factory.mktemp("ranks")
    command = [sys.executable, "-m", "tests.aira_lib.training.ranks_of_checkpoints", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, timeout=500, env={**os.environ, "OMP_NUM_THREADS": "1"})
    return folder


def told(folder: Path, name: str, world: int) -> list[dict[str, Any]]:
    found = [json.loads((folder / f"{name}.{rank}.json").read_text()) for rank in range(world)]
    assert all(isinstance(each, dict) for each in found), found
    return found


def test_two_ranks_save_beside_training(folder: Path) -> None:
    """Training's collectives run while the thread's do; rank 0 alone pushes, the manifest last."""
    first, second = told(folder, "trained", 2)
    assert first["losses"] == second["losses"]
    assert first["begun"] is second["begun"] is True
    assert second["pushed"] == []
    assert first["pushed"][-1] == f"checkpoints/step_{SAVED:08d}/manifest.json"
    assert sorted(first["pushed"]) == sorted(
        path.relative_to(folder / "run").as_posix() for path in (folder / "run").rglob("*") if path.is_file()
    )
    assert sum("model/__" in name for name in first["pushed"]) == 2  # each rank wrote its own


@pytest.mark.parametrize("world", [1, 2, 4])
def test_any_number_of_ranks_goes_on_from_there(world: int, folder: Path) -> None:
    straight = told(folder, "trained", 2)[0]
    for resumed in told(folder, f"resumed-{world}", world):
        assert resumed["early"] == straight["early"]
        assert resumed["losses"] == pytest.approx(straight["losses"][SAVED:], abs=1e-5)
        assert len(resumed["losses"]) == STEPS - SAVED
        assert resumed["weights"] == pytest.approx(straight["weights"], abs=1e-5)
        if world == 2:
            assert (resumed["losses"], resumed["weights"]) == (straight["losses"][SAVED:], straight["weights"])


def test_one_process_reads_the_weights_without_ranks(folder: Path, tmp_path: Path) -> None:
    step, state = checkpoint.latest(folder / "run", parts=("model",))  # type: ignore[misc]
    model = torch.nn.Sequential(torch.nn.Linear(3, 7), torch.nn.Tanh(), torch.nn.Linear(7, 5))
    model.load_state_dict(state["model"])
    weights = [value for tensor in model.state_dict().values() for value in tensor.flatten().tolist()]
    assert (step, weights) == (SAVED, told(folder, "trained", 2)[0]["early"])
    whole = checkpoint.latest(folder / "run")
    assert whole is not None
    assert whole[1]["optimizer"]["state"]["0.weight"]["exp_avg"].shape == (7, 3)
    assert whole[1]["optimizer"]["param_groups"][0]["lr"] == 0.05


def manifests(*steps: int) -> list[str]:
    return [f"checkpoints/step_{step:08d}/manifest.json" for step in steps]


def test_what_one_rank_cannot_do_all_hear_of(folder: Path) -> None:
    for rank, said in enumerate(told(folder, "failing", 2)):
        assert said["fine"] is True
        for name in ("full disk", "full disk told"):
            assert said[name].startswith("RankFailed: rank 1: /")
            assert "step_0000000" in said[name]
            assert "the file grew past the limit" in said[name]
            assert said[f"{name} left"] == manifests(1)
        assert said["full disk beside"] is True
        assert said["not finite"] is False
        assert said["not finite left"] == manifests(1)
        own, others = "TypeError: model['w'] is a set", "RankFailed: rank 1: TypeError: model['w'] is a set"
        assert said["odd state"].startswith(own if rank == 1 else others)
        assert said["fine again"] is True
        assert said["fine again left"] == manifests(1, 7)
        assert said["slow upload"] is True


def test_no_rank_waits_for_one_that_is_silent_or_dead(folder: Path) -> None:
    """For a dead one nobody waits until it would count as silent, which is longer than the program gives a rank."""
    said = told(folder, "failing", 2)[0]
    for name in ("silent", "dead"):
        assert said[name].startswith("SilentRank: rank 0 of 2: another rank ended, or was silent for")
