"""One rank of a group that trains a tiny model: `rank_program.py OUT SPEC...`, each SPEC a JSON object.

A SPEC is {"trainer", "steps", "changes", "spoil"}: settings, and the step whose gradient is made infinite on the last
rank. Rank 0 writes to OUT, for each, losses, norms and final weights.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch.distributed.tensor import DTensor

from aira_lib.training.arithmetic import LanguageTrainer
from aira_lib.training.trainers import TRAINERS
from tests.aira_lib.training import tiny


def trained(spec: dict[str, Any]) -> dict[str, Any]:
    """Losses, norms and weights of a training, whole on every rank."""
    section, point = tiny.section(trainer=spec["trainer"], **spec.get("changes", {})), tiny.point(spec["steps"])
    trainer = TRAINERS.named(spec["trainer"])(section, point, tiny.batches(), "cpu")
    assert isinstance(trainer, LanguageTrainer)
    results = []
    for result in trainer.run():
        results.append(result)
        if result.step == spec.get("spoil") and trainer.ranks.rank == trainer.ranks.count - 1:
            _spoil_next(trainer)
    weights = {name: _whole(value).tolist() for name, value in trainer.model.state_dict().items()}
    return {
        "loss": [result.loss for result in results], "norm": [result.grad_norm for result in results],
        "weights": weights,
    }  # fmt: skip


def _spoil_next(trainer: LanguageTrainer) -> None:
    """The next gradient of the embedding has an infinity, on this rank alone before ranks exchange it."""

    def spoil(module: torch.nn.Module, arguments: Any, output: torch.Tensor) -> None:
        output.register_hook(lambda gradient: torch.full_like(gradient, np.inf))
        handle.remove()

    handle = trainer.model.backbone.embedding.register_forward_hook(spoil)


def _whole(value: torch.Tensor) -> torch.Tensor:
    return value.full_tensor() if isinstance(value, DTensor) else value


if __name__ == "__main__":
    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    found = [trained(json.loads(spec)) for spec in sys.argv[2:]]
    if dist.get_rank() == 0:
        Path(sys.argv[1]).write_text(json.dumps(found))
    dist.destroy_process_group()
