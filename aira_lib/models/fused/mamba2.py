"""A Mamba-2 mixer between its two projections: convolution, scan, gate and norm, with one backward pass for all."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from aira_lib.models.fused.conv import convolve, convolve_backward
from aira_lib.models.fused.gate import finish, finish_backward
from aira_lib.models.fused.jit import array, over
from aira_lib.models.fused.ssd import scan, scan_backward
from aira_lib.models.fused.tiles import UNROLL

MOST_LENGTH = 512  # one chunk; a longer sequence is better cut into several, which the plain path does


def takes(length: int, head_dim: int) -> bool:
    """Whether the kernels take this shape."""
    return length <= MOST_LENGTH and head_dim % UNROLL == 0


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
        batch, length, _ = projected.shape
        d_ssm, heads = len(norm_weight), len(a)
        xbc = projected.new_empty(batch, length, len(conv_bias))
        dt = torch.empty(batch, length, heads)
        conv = [array(t) for t in (projected, taps, conv_bias, dt_bias)]
        over(batch, lambda first, last: convolve(*conv, d_ssm, array(xbc), array(dt), first, last), projected.numel())
        scores = _scores(xbc, d_ssm, groups)
        y = projected.new_empty(batch, length, d_ssm)
        scanned = [array(t) for t in (xbc, dt, a, scores, y)]
        over(batch, lambda first, last: scan(*scanned, first, last), projected.numel())
        mixed = projected.new_empty(batch, length, d_ssm)
        ended = [array(t) for t in (y, xbc, projected, skip, norm_weight)]
        over(batch, lambda first, last: finish(*ended, groups, eps, array(mixed), first, last), projected.numel())
        ctx.save_for_backward(projected, taps, conv_bias, dt_bias, a, skip, norm_weight, xbc, dt, scores, y)
        ctx.groups, ctx.eps = groups, eps
        return mixed

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        projected, taps, conv_bias, dt_bias, a, skip, norm_weight, xbc, dt, scores, y = ctx.saved_tensors
        batch, (heads, d_ssm, groups) = len(y), (len(a), len(norm_weight), ctx.groups)
        grad_projected, grad_xbc = torch.empty_like(projected), torch.empty(xbc.shape)
        grad_y, grad_norm, grad_skip = torch.empty(y.shape), torch.zeros(batch, d_ssm), torch.zeros(batch, heads)
        ended = [array(t) for t in (grad.contiguous(), grad_y, grad_xbc, grad_projected, grad_norm, grad_skip)]
        begun = [array(t) for t in (y, xbc, projected, skip, norm_weight)]
        over(
            batch, lambda first, last: finish_backward(*begun, groups, ctx.eps, *ended, first, last), projected.numel()
        )
        grad_dt, grad_a, grad_scores = torch.empty_like(dt), torch.empty(batch, heads), torch.empty_like(scores)
        scanned = [array(t) for t in (xbc, dt, a, scores, grad_y, grad_xbc, grad_dt, grad_a, grad_scores)]
        over(batch, lambda first, last: scan_backward(*scanned, first, last), projected.numel())
        _scores_backward(xbc, d_ssm, groups, grad_scores, grad_xbc)
        grad_taps, grad_bias = torch.zeros(batch, *taps.shape), torch.zeros(batch, len(conv_bias) + heads)
        conv = [array(t) for t in (projected, taps, conv_bias, dt_bias)]
        convolved = [array(t) for t in (grad_xbc, grad_dt, grad_projected, grad_taps, grad_bias)]
        over(batch, lambda first, last: convolve_backward(*conv, d_ssm, *convolved, first, last), projected.numel())
        grad_conv_bias, grad_dt_bias = torch.split(grad_bias.sum(0), [len(conv_bias), heads])
        sums = [t.sum(0) for t in (grad_a, grad_skip, grad_norm)]
        return grad_projected, grad_taps.sum(0).mT, grad_conv_bias, grad_dt_bias, *sums, None, None


def _of_states(xbc: Tensor, d_ssm: int, groups: int) -> tuple[Tensor, Tensor]:
    """B and C [batch, groups, length, d_state], as views."""
    states = xbc[..., d_ssm:].unflatten(-1, (2, groups, -1))
    return states[:, :, 0].transpose(1, 2), states[:, :, 1].transpose(1, 2)


def _scores(xbc: Tensor, d_ssm: int, groups: int) -> Tensor:
    B, C = _of_states(xbc, d_ssm, groups)
    return C @ B.mT


def _scores_backward(xbc: Tensor, d_ssm: int, groups: int, grad_scores: Tensor, grad_xbc: Tensor) -> None:
    """Write the gradients of B and C into theirs of xbc."""
    B, C = _of_states(xbc, d_ssm, groups)
    grad_B, grad_C = _of_states(grad_xbc, d_ssm, groups)
    grad_B.copy_(grad_scores.mT @ C)
    grad_C.copy_(grad_scores @ B)
