"""Mamba-2's short convolution with SiLU, and its time steps by softplus, of one sequence's input projection."""

import math

import numpy as np

from aira_lib.models.fused.jit import compiled, exponential, inlined, narrow, read, wide, write, written

_ZERO, _ONE = np.float32(0), np.float32(1)


@inlined
def sigmoid(x):
    """1 / (1 + exp(-x)), without overflow."""
    e = exponential(-abs(x))
    return (_ONE if x >= 0 else e) / (_ONE + e)


@compiled
def _load_padded(projected, offset, rows):
    """rows[width - 1 + t, c]: the channels to convolve, behind zeros."""
    before = len(rows) - len(projected)
    for t in range(before):
        for c in range(rows.shape[1]):
            write(rows, t, c, _ZERO)
    for t in range(len(projected)):
        for c in range(rows.shape[1]):
            write(rows, before + t, c, wide(read(projected, t, offset + c)))


@compiled
def _convolve(rows, weight, bias, t, out):
    """out[0, c] = bias[0, c] + sum_k weight[k, c] rows[t + k, c]."""
    for c in range(out.shape[1]):
        write(out, 0, c, read(bias, 0, c) + read(weight, 0, c) * read(rows, t, c))
    for k in range(1, len(weight)):
        for c in range(out.shape[1]):
            write(out, 0, c, written(out, 0, c) + read(weight, k, c) * read(rows, t + k, c))


@compiled
def _store_silu(row, t, out):
    for c in range(row.shape[1]):
        u = read(row, 0, c)
        write(out, t, c, narrow(u * sigmoid(u), written(out, 0, 0)))


@compiled
def convolve(projected, weight, bias, dt_bias, offset, xbc, dt):
    """Write xbc = silu(causal convolution) and dt = softplus(raw + dt_bias).

    Args:
        projected: [length, offset + channels + heads].
        weight: [width, channels].
        bias: [1, channels].
        dt_bias: [heads].
        offset: where the convolved channels begin; the heads' raw dt follow them.
        xbc: written [length, channels].
        dt: written [length, heads], fp32.
    """
    (width, channels), length = weight.shape, len(projected)
    rows, out = np.empty((width - 1 + length, channels), np.float32), np.empty((1, channels), np.float32)
    _load_padded(projected, offset, rows)
    for t in range(length):
        _convolve(rows, weight, bias, t, out)
        _store_silu(out, t, xbc)
        for h in range(len(dt_bias)):
            raw = wide(projected[t, offset + channels + h]) + dt_bias[h]
            dt[t, h] = max(raw, _ZERO) + math.log1p(exponential(-abs(raw)))


@compiled
def _times_silu_slope(row, t, grad, grad_bias):
    """grad[t, c] times silu's slope at row[0, c], added to grad_bias."""
    for c in range(row.shape[1]):
        u = read(row, 0, c)
        s = sigmoid(u)
        g = written(grad, t, c) * s * (_ONE + u * (_ONE - s))
        write(grad, t, c, g)
        write(grad_bias, 0, c, written(grad_bias, 0, c) + g)


@compiled
def _add_taps(grad, rows, t, grad_weight):
    for k in range(len(grad_weight)):
        for c in range(grad_weight.shape[1]):
            write(grad_weight, k, c, written(grad_weight, k, c) + read(grad, t, c) * read(rows, t + k, c))


@compiled
def _correlate(grad, weight, t, out):
    """out[0, c] = sum_k weight[k, c] grad[t + width - 1 - k, c], of the rows that there are."""
    last = len(weight) - 1
    for c in range(out.shape[1]):
        write(out, 0, c, read(weight, last, c) * read(grad, t, c))
    for k in range(max(0, t + len(weight) - len(grad)), last):
        for c in range(out.shape[1]):
            write(out, 0, c, written(out, 0, c) + read(weight, k, c) * read(grad, t + last - k, c))


@compiled
def _store(row, t, offset, out):
    for c in range(row.shape[1]):
        write(out, t, offset + c, narrow(read(row, 0, c), written(out, 0, 0)))


@compiled
def convolve_backward(
    projected, weight, bias, dt_bias, offset, grad_xbc, grad_dt, grad_projected, grad_weight, grad_bias, grad_dt_bias
):
    """Gradients of `convolve`; those of weight, bias and dt_bias are added to. grad_xbc, fp32, is overwritten."""
    (width, channels), length = weight.shape, len(projected)
    rows, out = np.empty((width - 1 + length, channels), np.float32), np.empty((1, channels), np.float32)
    _load_padded(projected, offset, rows)
    for t in range(length):
        _convolve(rows, weight, bias, t, out)
        _times_silu_slope(out, t, grad_xbc, grad_bias)
        _add_taps(grad_xbc, rows, t, grad_weight)
    for t in range(length):
        _correlate(grad_xbc, weight, t, out)
        _store(out, t, offset, grad_projected)
        for h in range(len(dt_bias)):
            raw = wide(projected[t, offset + channels + h]) + dt_bias[h]
            grad = grad_dt[t, h] * sigmoid(raw)
            grad_dt_bias[h] += grad
            grad_projected[t, offset + channels + h] = narrow(grad, grad_projected[0, 0])
