"""Must be refused: a model of another vocabulary, whose logits have no place for most tokens."""

import torch
from safetensors.torch import save_file
from torch import Tensor, nn


class Fixed(nn.Module):
    """Logits of two tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.zeros(2))

    def forward(self, idx: Tensor) -> Tensor:
        """From tokens [B, T] to logits [B, T, 2]."""
        return self.logits.expand(*idx.shape, 2)


def build_model() -> nn.Module:
    """The model."""
    return Fixed()


if __name__ == "__main__":
    save_file({"logits": torch.zeros(2)}, "weights.safetensors")
