"""Mamba-2 (Dao and Gu 2024, arXiv 2405.21060): projections, a short causal convolution, the SSD scan, a gated norm.

The layout is that of the published mamba-ssm block, so its weights can be read across: the input projection gives
z, x, B, C, dt in this order; the convolution runs over x, B and C together. So are the initial values of the
convolution, A, D and dt; those of the two projections are drawn by the model around it.
"""

import math
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from aira_lib.architecture.scales import Scale
from aira_lib.models import fused
from aira_lib.models.masks import Documents
from aira_lib.models.scan import Kernel, ssd, ssd_chunked, ssd_step

DT_RANGE = (1e-3, 0.1)
DT_FLOOR = 1e-4
A_RANGE = (1.0, 16.0)
NORM_EPS = 1e-5


class MambaState(NamedTuple):
    """What decoding keeps of a Mamba-2 mixer.

    Attributes:
        window: the convolution's last inputs [batch, d_conv - 1, d_ssm + 2 groups d_state].
        memory: the scan's state [batch, heads, head_dim, d_state], fp32 at least.
    """

    window: Tensor
    memory: Tensor


class Mamba2(nn.Module):
    """A Mamba-2 mixer.

    A_log, D and dt_bias stay in fp32 whatever the model is turned to, and what they enter is computed in it: decays
    multiply over the whole sequence. FSDP's mixed precision, which hands forward passes rounded copies of all
    parameters, rounds these too; autocast over fp32 parameters does not.

    Parameters: d (2 d_ssm + 2 G N + H) for `in_proj`, (d_ssm + 2 G N)(d_conv + 1) for the convolution and its bias,
    3 H for A_log, D and dt_bias, d_ssm for the norm, d_ssm d for `out`.

    Args:
        scale: dimensions.
        chunk: chunk length of the scan; shorter sequences are one chunk. None: 32 on a CPU (measured), 256
            elsewhere (mamba-ssm; fla-core has its own).
        kernel: what computes it, see `aira_lib.models.scan.Kernel`.
    """

    output_projection: ClassVar[str] = "out"

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

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Move or convert the module, but for the types of A_log, D and dt_bias below fp32."""
        wide = [self.A_log, self.D, self.dt_bias]
        kept = {id(each) for each in wide} | {id(each.grad) for each in wide}

        def but_for_them(tensor: Tensor) -> Tensor:
            made = fn(tensor)
            return tensor.to(made.device) if id(tensor) in kept and made.element_size() < 4 else made

        return super()._apply(but_for_them, recurse)  # type: ignore[no-any-return, no-untyped-call]

    def forward(self, u: Tensor, documents: Documents | None = None) -> Tensor:
        """Mix [batch, length, d_model] over positions; position t sees those up to t, of its own document if given."""
        if documents is None and (mixed := self._fused(u)) is not None:
            return self.out(mixed)  # type: ignore[no-any-return]
        z, xbc, dt = self._project(u)
        if documents is None:
            convolved = causal_conv(xbc, self.conv_weight, self.conv_bias)
        else:
            convolved = conv_within(xbc, self.conv_weight, self.conv_bias, documents)
        x, B, C = self._split(F.silu(convolved))
        starts = None if documents is None else documents.starts
        y = ssd(x, self._dt(dt), self._decay(), B, C, self._chunk(u), self.kernel, starts)
        return self._finish(y, x, z)

    def extend(self, u: Tensor, state: MambaState | None) -> tuple[Tensor, MambaState]:
        """Go on with the next positions [batch, new, d_model] of a sequence, from its state; None at its beginning.

        The state's size does not grow.
        """
        before = self.conv_weight.shape[1] - 1
        z, xbc, dt = self._project(u)
        inputs = F.pad(xbc, (0, 0, before, 0)) if state is None else torch.cat((state.window, xbc), dim=1)
        convolved = causal_conv(inputs, self.conv_weight, self.conv_bias)[:, before:]
        x, B, C = (each.to(wide_type(each)) for each in self._split(F.silu(convolved)))
        dt, A, memory = self._dt(dt), self._decay(), None if state is None else state.memory
        if memory is not None and u.shape[1] == 1:
            y, memory = ssd_step(x[:, 0], dt[:, 0], A, B[:, 0], C[:, 0], memory)
            y = y.unsqueeze(1)
        else:
            y, memory = ssd_chunked(x, dt, A, B, C, self._chunk(u), memory)
        window = inputs[:, inputs.shape[1] - before :].clone()  # a part would hold on to the whole
        return self._finish(y, x, z), MambaState(window, memory)

    def _fused(self, u: Tensor) -> Tensor | None:
        """What the output projection takes, by the fused CPU kernels; None where they do not apply."""
        if not fused.usable(u, self.kernel) or self.chunk is not None or self.conv_weight.dtype != torch.float32:
            return None
        from aira_lib.models.fused import mamba2

        if not mamba2.takes(u.shape[1]):
            return None
        projected = self.in_proj(u)
        if not fused.finite(self.A_log, self.dt_bias, projected[..., -self.heads :]):
            return None
        return mamba2.mix(
            projected, self.conv_weight, self.conv_bias, self.dt_bias, self._decay(), self.D,
            self.norm_weight, self.groups, NORM_EPS,
        )  # fmt: skip

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
        return F.softplus(raw + self.dt_bias.to(wide_type(self.dt_bias)))

    def _decay(self) -> Tensor:
        """A [heads]."""
        return -self.A_log.to(wide_type(self.A_log)).exp()

    def _chunk(self, u: Tensor) -> int:
        return self.chunk or (32 if u.device.type == "cpu" else 256)

    def _finish(self, y: Tensor, x: Tensor, z: Tensor) -> Tensor:
        """The skip D x, the gate, the norm within each group (gate before norm), the output projection."""
        skip = self.D.to(wide_type(self.D)).unsqueeze(-1)
        gated = (y + skip * x).flatten(-2) * F.silu(z)
        group = self.d_ssm // self.groups
        normed = F.rms_norm(gated.view(*gated.shape[:-1], self.groups, group), (group,), eps=NORM_EPS).flatten(-2)
        return self.out((normed * self.norm_weight).to(self.out.weight.dtype))  # type: ignore[no-any-return]


def wide_type(x: Tensor) -> torch.dtype:
    """The type to compute recurrences of x in: fp64 where x has it, else fp32."""
    return torch.float64 if x.dtype == torch.float64 else torch.float32


def conv_within(x: Tensor, weight: Tensor, bias: Tensor, documents: Documents) -> Tensor:
    """`causal_conv` in which a position sees positions of its own document alone."""
    width, own = weight.shape[1], documents.runs
    y = bias + weight[:, -1] * x
    for back in range(1, min(width, x.shape[1])):
        foreign = (own[:, back:] != own[:, :-back]).unsqueeze(-1)
        y = y + F.pad(x[:, :-back].masked_fill(foreign, 0) * weight[:, width - 1 - back], (0, 0, back, 0))
    return y


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
