"""Mamba-2's short convolution with SiLU, and its time steps by softplus, both from the input projection."""

import math

import numpy as np

from aira_lib.models.fused.jit import compiled, exponential, inlined, narrow, wide

_ZERO, _ONE = np.float32(0), np.float32(1)


@inlined
def sigmoid(x):
    """1 / (1 + exp(-x)), without overflow."""
    e = exponential(-abs(x))
    return (_ONE if x >= 0 else e) / (_ONE + e)


@inlined
def load_row(source, b, t, offset, out):
    """out[c] = source[b, t, offset + c], widened."""
    for c in range(len(out)):
        out[c] = wide(source[b, t, offset + c])


@inlined
def store_row(row, b, t, offset, out):
    """out[b, t, offset + c] = row[c], narrowed."""
    for c in range(len(row)):
        out[b, t, offset + c] = narrow(row[c], out[0, 0, 0])


@compiled
def _load_padded(projected, b, offset, rows):
    """rows[width - 1 + t, c]: the channels to convolve, behind zeros."""
    before = len(rows) - projected.shape[1]
    for t in range(projected.shape[1]):
        for c in range(rows.shape[1]):
            rows[before + t, c] = wide(projected[b, t, offset + c])


@inlined
def _convolve(rows, weight, bias, t, out):
    """out[c] = bias[c] + sum_k weight[k, c] rows[t + k, c]."""
    for c in range(len(out)):
        out[c] = bias[c]
    for k in range(len(weight)):
        for c in range(len(out)):
            out[c] += weight[k, c] * rows[t + k, c]


@inlined
def _silu(row):
    for c in range(len(row)):
        row[c] *= sigmoid(row[c])


@inlined
def _times_silu_slope(row, before):
    for c in range(len(row)):
        s = sigmoid(before[c])
        row[c] *= s * (_ONE + before[c] * (_ONE - s))


@compiled
def convolve(projected, weight, bias, dt_bias, offset, xbc, dt, first, last):
    """Write xbc = silu(causal convolution) and dt = softplus(raw + dt_bias), for the batch rows first to last.

    Args:
        projected: [batch, length, offset + channels + heads].
        weight: [width, channels].
        bias: [channels].
        dt_bias: [heads].
        offset: where the convolved channels begin; the heads' raw dt follow them.
        xbc: written [batch, length, channels].
        dt: written [batch, length, heads], fp32.
        first: of the batch.
        last: of the batch, excluded.
    """
    width, channels = weight.shape
    heads, length = len(dt_bias), projected.shape[1]
    rows, out = np.zeros((width - 1 + length, channels), np.float32), np.zeros(channels, np.float32)
    for b in range(first, last):
        _load_padded(projected, b, offset, rows)
        for t in range(length):
            _convolve(rows, weight, bias, t, out)
            _silu(out)
            store_row(out, b, t, 0, xbc)
            for h in range(heads):
                raw = wide(projected[b, t, offset + channels + h]) + dt_bias[h]
                dt[b, t, h] = max(raw, _ZERO) + np.float32(math.log(1.0 + exponential(-abs(raw))))


@compiled
def convolve_backward(
    projected, weight, bias, dt_bias, offset, grad_xbc, grad_dt, grad_projected, grad_weight, grad_bias, first, last
):
    """Gradients of `convolve`; grad_weight [batch, width, channels] and grad_bias [batch, channels + heads] a row.

    grad_xbc and grad_dt are fp32; grad_weight and grad_bias are added to.
    """
    width, channels = weight.shape
    heads, length = len(dt_bias), projected.shape[1]
    rows, out = np.zeros((width - 1 + length, channels), np.float32), np.zeros(channels, np.float32)
    grads, row = np.zeros((length + width - 1, channels), np.float32), np.zeros(channels, np.float32)
    taps, sums = np.zeros((width, channels), np.float32), np.zeros(channels, np.float32)
    for b in range(first, last):
        _load_padded(projected, b, offset, rows)
        taps[:] = _ZERO
        sums[:] = _ZERO
        for t in range(length):
            _convolve(rows, weight, bias, t, out)
            load_row(grad_xbc, b, t, 0, row)
            _times_silu_slope(row, out)
            for c in range(channels):
                grads[t, c] = row[c]
                sums[c] += row[c]
            for k in range(width):
                for c in range(channels):
                    taps[k, c] += row[c] * rows[t + k, c]
        for c in range(channels):
            grad_bias[b, c] = sums[c]
        grad_weight[b] = taps
        for t in range(length):
            row[:] = _ZERO
            for k in range(width):
                for c in range(channels):
                    row[c] += weight[k, c] * grads[t + (width - 1) - k, c]
            store_row(row, b, t, offset, grad_projected)
            for h in range(heads):
                raw = wide(projected[b, t, offset + channels + h]) + dt_bias[h]
                grad = grad_dt[b, t, h] * sigmoid(raw)
                grad_bias[b, channels + h] += grad
                grad_projected[b, t, offset + channels + h] = narrow(grad, grad_projected[0, 0, 0])
