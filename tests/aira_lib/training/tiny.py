"""A training of a tiny model, for tests in this process and in ranks."""

from typing import Any

import numpy as np

from aira_lib.architecture.pattern import parse
from aira_lib.architecture.scales import scale_named
from aira_lib.datasets.batches import ArraySource, Batches, Packing
from aira_lib.extrapolate.stage import describe
from aira_lib.pretrain.points import pretraining_points
from aira_lib.records import PretrainPoint
from aira_lib.study import PretrainSection

SCALE = scale_named("nano", 3).model_copy(
    update={
        "n_layers": 3, "d_model": 16, "n_heads": 2, "n_kv_heads": 1, "head_dim": 8, "d_ff": 32, "d_ssm": 32,
        "d_state": 8, "ssm_head_dim": 16, "seq_len": 32, "tokens_per_step": 160,
    }
)  # fmt: skip
"""Five windows a step: neither two nor three ranks have equal shares."""


def section(**changes: Any) -> PretrainSection:
    return PretrainSection.model_validate(
        {"data": {"max_train_bytes": 60_000, "max_validation_bytes": 10_000}, **changes}
    )


def point(steps: int = 50, pattern: str = "A-M-Mb") -> PretrainPoint:
    tokens = SCALE.tokens_per_step * steps
    chosen = PretrainSection.model_validate({"isotoken": {"scale": "nano", "tokens": tokens, "seeds": [3]}})
    layers = parse(pattern)
    design = describe("x@nano", base="x", kind="find", method="stretch", layers=layers, scale=SCALE, trainable=True)
    return pretraining_points(chosen, [design])[0]


def batches(packing: Packing = "across") -> Batches:
    text = np.random.default_rng(0).integers(97, 123, 20_000).astype(np.uint8)
    text[::50] = 0
    text[1::2] = text[::2][: len(text[1::2])]  # every letter twice: something to learn
    return Batches(ArraySource(text, 256, 0), SCALE.seq_len, SCALE.tokens_per_step // SCALE.seq_len, 3, packing)
