"""A Mamba-2 mixer between its two projections: convolution, scan, gate and norm, with one backward pass for all.

One sequence goes through all of it before the next, so that what lies between the parts stays in the cache.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from aira_lib.models.fused.conv import convolve, convolve_backward
from aira_lib.models.fused.gate import finish, finish_backward
from aira_lib.models.fused.jit import array, compiled, over
from aira_lib.models.fused.ssd import scan, scan_backward

MOST_LENGTH = 512  # one chunk; a longer sequence is better cut into several, which the plain path does


def takes(length: int) -> bool:
    """Whether the kernels are the faster ones."""
    return length <= MOST_LENGTH


def mix(
    projected: Tensor,
    conv_weight: Tensor,
    conv_bias: Tensor,
    dt_bias: Tensor,
    a: Tensor,
    skip: Tensor,
    norm_weight: Tensor,
    groups: int,
    eps: float,
) -> Tensor:
    """From the input projection to what the output projection takes.

    Args:
        projected: z, x, B, C, dt [batch, length, 2 d_ssm + 2 groups d_state + heads], fp32 or bf16.
        conv_weight: [d_ssm + 2 groups d_state, width].
        conv_bias: [d_ssm + 2 groups d_state].
        dt_bias: [heads].
        a: A [heads], negative.
        skip: D [heads].
        norm_weight: [d_ssm].
        groups: of B, C and the norm.
        eps: of the norm.

    Returns:
        [batch, length, d_ssm], of the type of `projected`.
    """
    mixed: Tensor = _Mix.apply(projected, conv_weight, conv_bias, dt_bias, a, skip, norm_weight, groups, eps)
    return mixed


class _Mix(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, projected: Tensor, conv_weight: Tensor, conv_bias: Tensor, dt_bias: Tensor, a: Tensor, skip: Tensor,
        norm_weight: Tensor, groups: int, eps: float,
    ) -> Tensor:  # fmt: skip
        projected, taps = projected.contiguous(), conv_weight.mT.contiguous()
        (batch, length, _), heads, (d_ssm,) = projected.shape, len(a), norm_weight.shape
        by_channel = skip.repeat_interleave(d_ssm // heads)
        weights = (taps, conv_bias[None], dt_bias, a, by_channel[None], norm_weight[None])
        xbc, y, mixed = (projected.new_empty(batch, length, n) for n in (len(conv_bias), d_ssm, d_ssm))
        dt = torch.empty(batch, length, heads)
        arrays = [array(t) for t in (projected, *weights, xbc, dt, y, mixed)]
        over(batch, lambda first, last: _forward(*arrays, groups, eps, first, last), projected.numel())
        ctx.save_for_backward(projected, *weights, xbc, dt, y)
        ctx.groups, ctx.eps = groups, eps
        return mixed

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        saved = ctx.saved_tensors
        projected, weights, batch, heads = saved[0], saved[1:7], len(grad), len(saved[4])
        grad_projected = torch.empty_like(projected)
        # Sums over a sequence are its own, and added up in one order: the same for any number of threads.
        sums = [torch.zeros(batch, *weight.shape) for weight in weights]
        arrays = [array(t) for t in (*saved, grad.contiguous(), grad_projected, *sums)]
        over(batch, lambda first, last: _backward(*arrays, ctx.groups, ctx.eps, first, last), projected.numel())
        taps, conv_bias, dt_bias, a, skip, norm_weight = (each.sum(0) for each in sums)
        of_skip = skip.view(heads, -1).sum(1)
        return grad_projected, taps.mT, conv_bias[0], dt_bias, a, of_skip, norm_weight[0], None, None


@compiled
def _forward(projected, taps, conv_bias, dt_bias, a, skip, norm_weight, xbc, dt, y, mixed, groups, eps, first, last):
    d_ssm = norm_weight.shape[1]
    d_state = (taps.shape[1] - d_ssm) // (2 * groups)
    for b in range(first, last):
        convolve(projected[b], taps, conv_bias, dt_bias, d_ssm, xbc[b], dt[b])
        scan(xbc[b], dt[b], a, groups, d_state, y[b])
        finish(y[b], xbc[b], projected[b], skip, norm_weight, groups, eps, mixed[b])


@compiled
def _backward(
    projected, taps, conv_bias, dt_bias, a, skip, norm_weight, xbc, dt, y, grad, grad_projected,
    grad_taps, grad_conv_bias, grad_dt_bias, grad_a, grad_skip, grad_norm_weight, groups, eps, first, last,
):  # fmt: skip
    d_ssm = norm_weight.shape[1]
    d_state = (taps.shape[1] - d_ssm) // (2 * groups)
    grad_y, grad_xbc = np.empty(y[0].shape, np.float32), np.empty(xbc[0].shape, np.float32)
    grad_dt = np.empty(dt[0].shape, np.float32)
    for b in range(first, last):
        finish_backward(
            y[b], xbc[b], projected[b], skip, norm_weight, groups, eps,
            grad[b], grad_y, grad_xbc, grad_projected[b], grad_norm_weight[b], grad_skip[b],
        )  # fmt: skip
        scan_backward(xbc[b], dt[b], a, groups, d_state, grad_y, grad_xbc, grad_dt, grad_a[b])
        convolve_backward(
            projected[b], taps, conv_bias, dt_bias, d_ssm,
            grad_xbc, grad_dt, grad_projected[b], grad_taps[b], grad_conv_bias[b], grad_dt_bias[b],
        )  # fmt: skip
