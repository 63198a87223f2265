"""Hardly trained: the logits of tokens as often as they occur in the first rows, whatever came before."""

import json
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

RUN = json.loads(Path("run.json").read_text(encoding="utf-8"))
VOCAB_SIZE: int = RUN["settings"]["vocabulary"]


class Fixed(nn.Module):
    """The same logits at every place."""

    def __init__(self) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.zeros(VOCAB_SIZE))

    def forward(self, idx: Tensor) -> Tensor:
        """From tokens [B, T] to logits [B, T, V]."""
        return self.logits.expand(*idx.shape, VOCAB_SIZE)


def build_model() -> nn.Module:
    """The model, before its training."""
    return Fixed()


if __name__ == "__main__":
    rows = np.load("data/train/labels.npy", mmap_mode="r")[:100]
    counts = np.bincount(rows.ravel(), minlength=VOCAB_SIZE) + 1.0
    save_file({"logits": torch.from_numpy(np.log(counts)).float()}, "weights.safetensors")
