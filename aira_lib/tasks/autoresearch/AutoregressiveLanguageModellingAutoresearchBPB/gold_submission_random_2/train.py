"""Hardly trained: the logits of all tokens equal but for a little noise, whatever came before."""

import json
from pathlib import Path

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
    torch.manual_seed(RUN["seed"])
    save_file({"logits": 0.1 * torch.randn(VOCAB_SIZE)}, "weights.safetensors")
