"""Mamba-2's end: the skip D x, the gate silu(z), and the norm within each group."""

import math

import numpy as np

from aira_lib.models.fused.conv import load_row, sigmoid, store_row
from aira_lib.models.fused.jit import compiled, inlined

_ONE = np.float32(1)


@compiled
def _by_channel(skip, d):
    """A value a head as a value a channel."""
    return np.repeat(skip, d // len(skip))


@inlined
def _gate(v, z, out):
    """out[c] = v[c] silu(z[c])."""
    for c in range(len(v)):
        out[c] = v[c] * z[c] * sigmoid(z[c])


@inlined
def _group_scale(gated, first, size, eps):
    squares = np.float32(0)
    for c in range(first, first + size):
        squares += gated[c] * gated[c]
    return np.float32(1.0 / math.sqrt(squares / size + eps))


@inlined
def _norm_backward(gated, weight, grad, grad_weight, first, size, scale):
    """The gradient of a group's norm, in place of `grad`; adds to grad_weight."""
    dot = np.float32(0)
    for c in range(first, first + size):
        dot += grad[c] * weight[c] * gated[c]
    mean = dot * scale * scale / np.float32(size)
    for c in range(first, first + size):
        grad_weight[c] += grad[c] * gated[c] * scale
    for c in range(first, first + size):
        grad[c] = scale * (grad[c] * weight[c] - gated[c] * mean)


@inlined
def _gate_backward(v, z, grad, grad_z):
    """From the gradient of the gated values to those of v, in place, and of z."""
    for c in range(len(v)):
        s = sigmoid(z[c])
        grad_z[c] = grad[c] * v[c] * s * (_ONE + z[c] * (_ONE - s))
        grad[c] *= z[c] * s


@compiled
def finish(y, xbc, projected, skip, weight, groups, eps, out, first, last):
    """Write out = weight rms_norm((y + D x) silu(z)), for the batch rows first to last.

    Args:
        y: [batch, length, heads head_dim].
        xbc: x in its first channels.
        projected: z in its first channels.
        skip: D [heads].
        weight: [heads head_dim].
        groups: that are normalised each on its own.
        eps: of the norm.
        out: written [batch, length, heads head_dim].
        first: of the batch.
        last: of the batch, excluded.
    """
    d = len(weight)
    size, skips = d // groups, _by_channel(skip, d)
    v, x = np.zeros(d, np.float32), np.zeros(d, np.float32)
    z, gated = np.zeros(d, np.float32), np.zeros(d, np.float32)
    for b in range(first, last):
        for t in range(y.shape[1]):
            load_row(y, b, t, 0, v)
            load_row(xbc, b, t, 0, x)
            load_row(projected, b, t, 0, z)
            for c in range(d):
                v[c] += skips[c] * x[c]
            _gate(v, z, gated)
            for g in range(0, d, size):
                scale = _group_scale(gated, g, size, eps)
                for c in range(g, g + size):
                    gated[c] *= scale * weight[c]
            store_row(gated, b, t, 0, out)


@compiled
def finish_backward(
    y,
    xbc,
    projected,
    skip,
    weight,
    groups,
    eps,
    grad,
    grad_y,
    grad_xbc,
    grad_projected,
    grad_weight,
    grad_skip,
    first,
    last,
):
    """Gradients of `finish`: grad_y and grad_xbc (x's channels, for the skip) are written in fp32, z's too.

    grad_weight [batch, heads head_dim] and grad_skip [batch, heads] are added to, a row for each of the batch.
    """
    d = len(weight)
    size, skips = d // groups, _by_channel(skip, d)
    v, x = np.zeros(d, np.float32), np.zeros(d, np.float32)
    z, gated = np.zeros(d, np.float32), np.zeros(d, np.float32)
    row, row_z, row_x = np.zeros(d, np.float32), np.zeros(d, np.float32), np.zeros(d, np.float32)
    of_weight, by_channel = np.zeros(d, np.float32), np.zeros(d, np.float32)
    for b in range(first, last):
        of_weight[:] = np.float32(0)
        by_channel[:] = np.float32(0)
        for t in range(y.shape[1]):
            load_row(y, b, t, 0, v)
            load_row(xbc, b, t, 0, x)
            load_row(projected, b, t, 0, z)
            load_row(grad, b, t, 0, row)
            for c in range(d):
                v[c] += skips[c] * x[c]
            _gate(v, z, gated)
            for g in range(0, d, size):
                scale = _group_scale(gated, g, size, eps)
                _norm_backward(gated, weight, row, of_weight, g, size, scale)
            _gate_backward(v, z, row, row_z)
            for c in range(d):
                row_x[c] = row[c] * skips[c]
                by_channel[c] += row[c] * x[c]
            store_row(row_z, b, t, 0, grad_projected)
            store_row(row, b, t, 0, grad_y)
            store_row(row_x, b, t, 0, grad_xbc)
        grad_weight[b] = of_weight
        for c in range(d):
            grad_skip[b, c // (d // len(skip))] += by_channel[c]
