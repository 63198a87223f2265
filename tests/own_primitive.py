"""A primitive from outside: its only mention is AIRA_PLUGINS=tests.own_primitive."""

import torch
from torch import Tensor, nn

from aira_lib.architecture.primitives import Primitive, add_primitive
from aira_lib.architecture.scales import Scale


class RunningMean(nn.Module):
    """The mean of all positions so far, times a matrix."""

    output_projection = "out"

    def __init__(self, scale: Scale, kernel: str = "auto") -> None:
        super().__init__()
        self.out = nn.Linear(scale.d_model, scale.d_model, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        positions = torch.arange(1, x.shape[1] + 1, device=x.device, dtype=x.dtype)
        return self.out(x.cumsum(1) / positions[:, None])  # type: ignore[no-any-return]


add_primitive(
    Primitive(
        symbol="Rm",
        name="running mean of mine",
        words="a running mean of all positions so far, times a matrix",
        colour="#cc79a7",
        ink="#000000",
        params=lambda scale: scale.d_model**2,
        flops=lambda scale: 6 * scale.d_model**2,
        module="tests.own_primitive:RunningMean",
        state_values=lambda scale: scale.d_model,
        dimensions=lambda scale: f"running mean of width {scale.d_model}",
    )
)
