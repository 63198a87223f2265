"""Root mean square norm in one pass each way: y = w x / sqrt(mean(x^2) + eps)."""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from aira_lib.models.fused.jit import array, compiled, narrow, over, wide

_BLOCKS = 16  # parts of the sum over rows: the same for any number of threads, so the result is too


def rms_norm(x: Tensor, weight: Tensor, eps: float, dtype: torch.dtype) -> Tensor:
    """Normalise the last axis of x (fp32 or bf16); the result has `dtype`, all arithmetic is fp32."""
    y: Tensor = _RMSNorm.apply(x, weight, eps, dtype)
    return y


class _RMSNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, eps: float, dtype: torch.dtype) -> Tensor:
        rows = x.contiguous().view(-1, x.shape[-1])
        y = torch.empty(rows.shape, dtype=dtype)
        scale = torch.empty(len(rows))
        arrays = [array(t) for t in (rows, weight, y, scale)]
        over(len(rows), lambda first, last: _forward(*arrays, eps, first, last), rows.numel())
        ctx.save_for_backward(rows, weight, scale)
        return y.view(x.shape)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        rows, weight, scale = ctx.saved_tensors
        grad_x = torch.empty_like(rows)
        parts = torch.zeros(_BLOCKS, rows.shape[-1])
        grads = grad.contiguous().view(rows.shape)
        arrays = [array(t) for t in (grads, rows, weight, scale, grad_x, parts)]
        over(_BLOCKS, lambda first, last: _backward(*arrays, first, last), rows.numel())
        return grad_x.view(grad.shape), parts.sum(0), None, None


@compiled
def _forward(x, weight, y, scale, eps, first, last):
    d = x.shape[1]
    for t in range(first, last):
        row, out = x[t], y[t]
        squares = np.float32(0)
        for i in range(d):
            v = wide(row[i])
            squares += v * v
        s = np.float32(1.0 / math.sqrt(squares / d + eps))
        scale[t] = s
        for i in range(d):
            out[i] = narrow(wide(row[i]) * s * weight[i], out[i])


@compiled
def _backward(grad, x, weight, scale, grad_x, parts, first, last):
    n, d = x.shape
    for block in range(first, last):
        part = parts[block]
        for t in range(n * block // _BLOCKS, n * (block + 1) // _BLOCKS):
            row, g, out, s = x[t], grad[t], grad_x[t], scale[t]
            dot = np.float32(0)
            for i in range(d):
                dot += wide(g[i]) * weight[i] * wide(row[i])
            mean = dot * s * s / np.float32(d)
            for i in range(d):
                gi, xi = wide(g[i]), wide(row[i])
                out[i] = narrow(s * (gi * weight[i] - xi * mean), out[i])
                part[i] += gi * xi * s
