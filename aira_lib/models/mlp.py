"""The two feed-forward blocks: SwiGLU (language models) and two-layer ReLU (the paper's MAD designs). No biases."""

from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from aira_lib.architecture.scales import Scale
from aira_lib.models.scan import Kernel


class SwiGLU(nn.Module):
    """down(silu(gate(x)) * up(x)); gate and up are one fused projection. Parameters: 3 d_model d_ff."""

    output_projection: ClassVar[str] = "out"

    def __init__(self, scale: Scale) -> None:
        super().__init__()
        self.gate_up = nn.Linear(scale.d_model, 2 * scale.d_ff, bias=False)
        self.out = nn.Linear(scale.d_ff, scale.d_model, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Transform every position of [batch, length, d_model] on its own."""
        gate, up = self.gate_up(x).chunk(2, dim=-1)
        return self.out(F.silu(gate) * up)  # type: ignore[no-any-return]


class ReLUMLP(nn.Module):
    """out(relu(up(x))). Parameters: 2 d_model d_ff."""

    output_projection: ClassVar[str] = "out"

    def __init__(self, scale: Scale) -> None:
        super().__init__()
        self.up = nn.Linear(scale.d_model, scale.d_ff, bias=False)
        self.out = nn.Linear(scale.d_ff, scale.d_model, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Transform every position of [batch, length, d_model] on its own."""
        return self.out(F.relu(self.up(x)))  # type: ignore[no-any-return]


def MLP(scale: Scale, kernel: Kernel = "auto") -> SwiGLU | ReLUMLP:
    """The feed-forward block that the scale names; it has no kernel but PyTorch's."""
    return SwiGLU(scale) if scale.mlp == "swiglu" else ReLUMLP(scale)
