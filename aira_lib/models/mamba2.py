"""Mamba-2 (Dao and Gu 2024, arXiv 2405.21060): projections, a short causal convolution, the SSD scan, a gated norm.

The layout is that of the published mamba-ssm block, so its weights can be read across: the input projection gives
z, x, B, C, dt in this order; the convolution runs over x, B and C together. So are the initial values of the
convolution, A, D and dt; those of the two projections are drawn by the model around it.
"""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from aira_lib.architecture.scales import Scale
from aira_lib.models import fused
from aira_lib.models.scan import Kernel, ssd, ssd_step

DT_RANGE = (1e-3, 0.1)
DT_FLOOR = 1e-4
A_RANGE = (1.0, 16.0)
NORM_EPS = 1e-5


class Mamba2(nn.Module):
    """A Mamba-2 mixer.

    Parameters: d (2 d_ssm + 2 G N + H) for `in_proj`, (d_ssm + 2 G N)(d_conv + 1) for the convolution and its bias,
    3 H for A_log, D and dt_bias, d_ssm for the norm, d_ssm d for `out`.

    Args:
        scale: dimensions.
        chunk: chunk length of the scan; shorter sequences are one chunk. None: 32 on a CPU (measured), 256
            elsewhere (mamba-ssm).
        kernel: "torch", "mamba-ssm" (CUDA, extra `gpu`), or "auto": mamba-ssm where it can run, and on a CPU the fused
            kernels of the extra `fast`.
    """

    def __init__(self, scale: Scale, chunk: int | None = None, kernel: Kernel = "auto") -> None:
        super().__init__()
        self.d_ssm, self.d_state, self.groups = scale.d_ssm, scale.d_state, scale.n_groups
        self.head_dim, self.heads = scale.ssm_head_dim, scale.d_ssm // scale.ssm_head_dim
        self.chunk, self.kernel = chunk, kernel
        self.d_xbc = self.d_ssm + 2 * self.groups * self.d_state
        self.in_proj = nn.Linear(scale.d_model, self.d_ssm + self.d_xbc + self.heads, bias=False)
        self.conv_weight = nn.Parameter(torch.empty(self.d_xbc, scale.d_conv))
        self.conv_bias = nn.Parameter(torch.empty(self.d_xbc))
        self.A_log = nn.Parameter(torch.empty(self.heads))
        self.D = nn.Parameter(torch.ones(self.heads))
        self.dt_bias = nn.Parameter(torch.empty(self.heads))
        self.norm_weight = nn.Parameter(torch.ones(self.d_ssm))
        self.out = nn.Linear(self.d_ssm, scale.d_model, bias=False)
        self._reset()

    @torch.no_grad()
    def _reset(self) -> None:
        bound = self.conv_weight.shape[1] ** -0.5
        self.conv_weight.uniform_(-bound, bound)
        self.conv_bias.uniform_(-bound, bound)
        self.A_log.uniform_(*A_RANGE).log_()
        low, high = (math.log(v) for v in DT_RANGE)
        dt = torch.empty_like(self.dt_bias).uniform_(low, high).exp().clamp(min=DT_FLOOR)
        self.dt_bias.copy_(dt + torch.log(-torch.expm1(-dt)))  # softplus of this is dt

    def forward(self, u: Tensor) -> Tensor:
        """Mix [batch, length, d_model] over positions; position t sees positions up to t."""
        if (mixed := self._fused(u)) is not None:
            return self.out(mixed)  # type: ignore[no-any-return]
        z, xbc, dt = self._project(u)
        x, B, C = self._split(F.silu(causal_conv(xbc, self.conv_weight, self.conv_bias)))
        chunk = self.chunk or (32 if u.device.type == "cpu" else 256)
        y = ssd(x, self._dt(dt), -self.A_log.exp(), B, C, chunk, self.kernel)
        return self._finish(y, x, z)

    def _fused(self, u: Tensor) -> Tensor | None:
        """What the output projection takes, by the fused CPU kernels; None where they do not apply."""
        if not fused.usable(u, self.kernel) or self.chunk is not None:
            return None
        from aira_lib.models.fused import mamba2

        if not mamba2.takes(u.shape[1]):
            return None
        projected = self.in_proj(u)
        if not fused.finite(self.A_log, self.dt_bias, projected[..., -self.heads :]):
            return None
        return mamba2.mix(
            projected, self.conv_weight, self.conv_bias, self.dt_bias, -self.A_log.exp(), self.D,
            self.norm_weight, self.groups, NORM_EPS,
        )  # fmt: skip

    def empty_state(self, batch: int) -> tuple[Tensor, Tensor]:
        """The state before the first token: the convolution's last inputs and the scan's state."""
        window = self.conv_weight.new_zeros(batch, self.conv_weight.shape[1] - 1, self.d_xbc)
        return window, self.A_log.new_zeros(batch, self.heads, self.head_dim, self.d_state)

    def step(self, u: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Decode one token: [batch, d_model] and a state give the output and the next state."""
        z, xbc, dt = self._project(u)
        window = torch.cat((state[0], xbc.unsqueeze(1)), dim=1)
        conv = torch.einsum("bkc,ck->bc", window, self.conv_weight) + self.conv_bias
        x, B, C = self._split(F.silu(conv))
        y, scan_state = ssd_step(x, self._dt(dt), -self.A_log.exp(), B, C, state[1])
        return self._finish(y, x, z), (window[:, 1:], scan_state)

    def _project(self, u: Tensor) -> tuple[Tensor, ...]:
        return torch.split(self.in_proj(u), [self.d_ssm, self.d_xbc, self.heads], dim=-1)

    def _split(self, xbc: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x, B, C = torch.split(xbc, [self.d_ssm, *[self.groups * self.d_state] * 2], dim=-1)
        return (
            x.view(*x.shape[:-1], self.heads, self.head_dim),
            B.view(*B.shape[:-1], self.groups, self.d_state),
            C.view(*C.shape[:-1], self.groups, self.d_state),
        )

    def _dt(self, raw: Tensor) -> Tensor:
        return F.softplus(raw + self.dt_bias)

    def _finish(self, y: Tensor, x: Tensor, z: Tensor) -> Tensor:
        """The skip D x, the gate, the norm within each group (gate before norm), the output projection."""
        gated = (y + self.D.unsqueeze(-1) * x).flatten(-2) * F.silu(z)
        group = self.d_ssm // self.groups
        normed = F.rms_norm(gated.view(*gated.shape[:-1], self.groups, group), (group,), eps=NORM_EPS).flatten(-2)
        return self.out(normed * self.norm_weight)  # type: ignore[no-any-return]


def causal_conv(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Depthwise causal convolution over the length of x [batch, length, channels]; weight is [channels, width].

    On a CPU a sum of shifted products: channels stay last, and at a width of 4 it beats conv1d both ways.
    """
    if x.device.type == "cpu":
        out: Tensor = _ShiftedProducts.apply(x, weight, bias)  # type: ignore[no-untyped-call]
        return out
    padded = F.pad(x.mT, (weight.shape[1] - 1, 0))
    return F.conv1d(padded, weight.unsqueeze(1), bias, groups=len(weight)).mT


class _ShiftedProducts(torch.autograd.Function):
    """y_t = bias + sum_k weight_k x_{t - (width - 1) + k}.

    Its own backward pass: autograd would fill and add one padded gradient for each of the shifts.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        width, length, rows = weight.shape[1], x.shape[1], weight.mT.contiguous()
        padded = F.pad(x, (0, 0, width - 1, 0))
        ctx.save_for_backward(padded, rows)
        y = bias
        for k in range(width):
            y = torch.addcmul(y, padded[:, k : k + length], rows[k])
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        padded, rows = ctx.saved_tensors
        width, length = len(rows), grad.shape[1]
        ahead = F.pad(grad, (0, 0, 0, width - 1))
        grad_x = ahead[:, width - 1 : width - 1 + length] * rows[0]
        for k in range(1, width):
            grad_x = torch.addcmul(grad_x, ahead[:, width - 1 - k : width - 1 - k + length], rows[k])
        grad_weight = [(padded[:, k : k + length] * grad).sum((0, 1)) for k in range(width)]
        return grad_x, torch.stack(grad_weight, dim=1), grad.sum((0, 1))
