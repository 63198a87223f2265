"""What a training is told: Table 12 of the paper, which is law in a set-up that is not configurable, and its sizes.

The paper's values are those of `paper`. `laptop` and `smoke` are ours: a small model and few steps, so that a training
takes a minute or some seconds on two cores; every result of theirs has to name its size.
"""

from dataclasses import dataclass
from typing import Any

from aira_lib.lra.data.sizes import LraSize, LraTask, size_of


@dataclass(frozen=True)
class Configuration:
    """One training, by the keys of Table 12.

    Attributes:
        max_length: tokens or bytes of an input; what is longer is cut behind, what is shorter filled up with 0.
        learning_rate: of the schedule, whose peak it need not be (see `aira_lib.lra.schedule`).
        batch_size: rows of a step; pairs of documents in Retrieval.
        num_train_steps: steps.
        num_layers, num_heads, emb_dim, qkv_dim, mlp_dim: of the model, as far as it declares them.
        weight_decay: decoupled, of AdamW.
        warmup: steps in which the rate rises.
        eval_frequency: steps between two validations; a training has 20 at most, whatever this says.
        random_seed: of weights, dropout and the order of rows. It is the harness's, never a submission's.
    """

    max_length: int
    learning_rate: float
    batch_size: int
    num_train_steps: int
    num_layers: int
    num_heads: int
    emb_dim: int
    qkv_dim: int
    mlp_dim: int
    weight_decay: float = 0.01
    warmup: int = 500
    eval_frequency: int = 50
    random_seed: int = 0

    @property
    def work(self) -> int:
        """Tokens that a training reads, of one document of a pair."""
        return self.batch_size * self.max_length * self.num_train_steps


_PAPER: dict[LraTask, dict[str, Any]] = {
    "text": dict(
        learning_rate=1e-4, batch_size=16, num_train_steps=20_000, num_layers=6, num_heads=8, emb_dim=512, qkv_dim=512,
        mlp_dim=2048, warmup=500,
    ),
    "listops": dict(
        learning_rate=1e-4, batch_size=16, num_train_steps=5_000, num_layers=4, num_heads=8, emb_dim=512, qkv_dim=512,
        mlp_dim=1024, warmup=1000,
    ),
    "retrieval": dict(
        learning_rate=1e-4, batch_size=8, num_train_steps=5_000, num_layers=4, num_heads=4, emb_dim=128, qkv_dim=128,
        mlp_dim=512, warmup=8000,
    ),
}  # fmt: skip
_SMALL = dict(
    learning_rate=1e-3, num_train_steps=200, num_layers=2, num_heads=4, emb_dim=64, qkv_dim=64, mlp_dim=128, warmup=50
)  # fmt: skip
_TINY = dict(learning_rate=1e-3, num_layers=1, num_heads=2, emb_dim=16, qkv_dim=16, mlp_dim=32, warmup=5)
_SETTINGS: dict[LraSize, dict[LraTask, dict[str, Any]]] = {
    "paper": _PAPER,
    "laptop": {
        "text": dict(_SMALL, batch_size=16),
        "listops": dict(_SMALL, batch_size=32),
        "retrieval": dict(_SMALL, batch_size=16),
    },
    "smoke": {task: dict(_TINY, batch_size=8, num_train_steps=20) for task in _PAPER},
}


def law(task: LraTask, size: LraSize) -> Configuration:
    """The configuration of a task at a size: what counts unless a set-up is configurable.

    Raises:
        UserError: no such task or size.
    """
    length = size_of(task, size).max_len
    return Configuration(max_length=length, **_SETTINGS[size][task])
