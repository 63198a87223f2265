"""Checkpoints among ranks, each a process: a program, for its ranks are forked from one that imported torch once.

Run: python -m tests.aira_lib.training.ranks_of_checkpoints FOLDER
Leaves FOLDER/NAME.RANK.json of each check below.
"""

import json
import os
import resource
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch._dynamo  # the optimizer's; each rank would import it by itself
import torch.distributed as dist
from torch import Tensor
from torch.distributed.checkpoint.state_dict import (
    get_model_state_dict,
    get_optimizer_state_dict,
    set_model_state_dict,
    set_optimizer_state_dict,
)
from torch.distributed.fsdp import fully_shard

from aira_lib.training.checkpoint.sharded import ShardedCheckpoints

SAVED, STEPS, ROWS = 3, 6, 4


def in_ranks(world: int, name: str, work: Callable[[Path, int], Any], folder: Path) -> None:
    """Run `work(folder, rank)` in forked ranks and write down what each returns, or the error that it met."""
    children = []
    for rank in range(world):
        child = os.fork()
        if not child:
            _rank(world, rank, name, work, folder)
        children.append(child)
    for child in children:
        os.waitpid(child, 0)


def _rank(world: int, rank: int, name: str, work: Callable[[Path, int], Any], folder: Path) -> None:
    signal.alarm(300)  # a rank that waits on is a failure: of what it found nothing is written then
    try:
        dist.init_process_group("gloo", init_method=f"file://{folder}/{name}.store", rank=rank, world_size=world)
        found = work(folder, rank)
    except BaseException as error:
        found = f"{type(error).__name__}: {error}"
    (folder / f"{name}.{rank}.json").write_text(json.dumps(found))
    os._exit(0)


class Training:
    """A small model in training under FSDP2; rows of odd number are spread unevenly. The data is that of the step."""

    def __init__(self, rank: int) -> None:
        torch.manual_seed(0)
        self.model = torch.nn.Sequential(torch.nn.Linear(3, 7), torch.nn.Tanh(), torch.nn.Linear(7, 5))
        for layer in self.model:
            fully_shard(layer)
        fully_shard(self.model)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=0.05)
        self.rank, self.world = rank, dist.get_world_size()

    def state(self) -> dict[str, list[dict[str, Any]]]:
        return {
            "model": [get_model_state_dict(self.model)],
            "optimizer": [get_optimizer_state_dict(self.model, self.optimizer)],
        }

    def load(self, state: dict[str, dict[str, Any]]) -> None:
        set_model_state_dict(self.model, state["model"])
        set_optimizer_state_dict(self.model, self.optimizer, state["optimizer"])

    def step(self, step: int) -> float:
        random = torch.Generator().manual_seed(step)
        rows = torch.randn(ROWS, 3, generator=random)
        mine = rows[self.rank * ROWS // self.world : (self.rank + 1) * ROWS // self.world]
        loss = (self.model(mine) - mine.sum(1, keepdim=True)).square().mean()
        loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad()
        whole = loss.detach().clone()
        dist.all_reduce(whole)
        return whole.item() / self.world

    def weights(self) -> list[float]:
        whole = [each.full_tensor() for each in get_model_state_dict(self.model).values()]
        return [value for tensor in whole for value in tensor.flatten().tolist()]


def trained(folder: Path, rank: int) -> Any:
    """Train to the end; the state of an early step is written beside that."""
    training, pushed, losses = Training(rank), [], []
    with ShardedCheckpoints(folder / "run", pushed.append) as checkpoints:
        for step in range(STEPS):
            losses.append(training.step(step))
            if step + 1 == SAVED:
                begun = checkpoints.save(SAVED, training.state())
                early = training.weights()
    return {"losses": losses, "early": early, "weights": training.weights(), "pushed": pushed, "begun": begun}


def resumed(folder: Path, rank: int) -> Any:
    training = Training(rank)
    with ShardedCheckpoints(folder / "run") as checkpoints:
        found = checkpoints.latest(training.state())
    assert found
    training.load(found[1])
    early = training.weights()
    losses = [training.step(step) for step in range(found[0], STEPS)]
    return {"losses": losses, "early": early, "weights": training.weights()}


def failing(folder: Path, rank: int) -> Any:
    """What one rank cannot do, all hear of, without a wait; and the next save is as good as any."""
    said: dict[str, Any] = {}
    state: dict[str, list[dict[str, Any]]] = {"model": [{"w": torch.ones(3), "spread": _spread(rank, 1.0)}]}

    def note(name: str, work: Callable[[], Any]) -> None:
        try:
            said[name] = work()
        except Exception as error:
            said[name] = f"{type(error).__name__}: {error}"
        said[f"{name} left"] = sorted(
            path.relative_to(folder / "failing").as_posix() for path in (folder / "failing").rglob("*.json")
        )
        dist.barrier()

    checkpoints = ShardedCheckpoints(folder / "failing")
    note("fine", lambda: checkpoints.save(1, state, asynchronous=False))
    with_limit = (1000 if rank == 1 else resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    resource.setrlimit(resource.RLIMIT_FSIZE, with_limit)
    note("full disk", lambda: checkpoints.save(2, state, asynchronous=False))
    note("full disk beside", lambda: checkpoints.save(3, state))
    note("full disk told", checkpoints.wait)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
    bad = {"model": [{"w": torch.ones(3), "spread": _spread(rank, float("nan") if rank == 1 else 1.0)}]}
    note("not finite", lambda: checkpoints.save(5, bad, asynchronous=False))
    odd = {"model": [{"w": {1} if rank == 1 else torch.ones(3)}]}
    note("odd state", lambda: checkpoints.save(6, odd))
    note("fine again", lambda: checkpoints.save(7, state, asynchronous=False))
    slow = ShardedCheckpoints(folder / "failing", _slow if rank == 0 else _not_mine, silence=2.0)
    note("slow upload", lambda: slow.save(9, state, asynchronous=False))
    silent, patient = (ShardedCheckpoints(folder / "failing", silence=seconds) for seconds in (2.0, 600.0))
    if rank == 1:
        time.sleep(4)
        return said
    for name, each in (("silent", silent), ("dead", patient)):
        try:
            each.save(10, state, asynchronous=False)
        except Exception as error:
            said[name] = f"{type(error).__name__}: {error}"
    return said


def _slow(name: str) -> None:
    """An upload that takes longer than a rank may be silent."""
    if name.endswith("manifest.json"):
        time.sleep(3)


def _not_mine(name: str) -> None:
    raise AssertionError("rank 0 alone pushes")


def _spread(rank: int, value: float) -> Tensor:
    """A tensor of which each rank has a row of a thousand."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.tensor import DTensor, Shard

    mesh = init_device_mesh("cpu", (dist.get_world_size(),))
    return DTensor.from_local(torch.full((1, 1000), value), mesh, [Shard(0)])


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    in_ranks(2, "trained", trained, folder)
    for world in (1, 2, 4):
        in_ranks(world, f"resumed-{world}", resumed, folder)
    in_ranks(2, "failing", failing, folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
