"""Mamba-2's end, of one sequence: the skip D x, the gate silu(z), and the norm within each group."""

import math

import numpy as np

from aira_lib.models.fused.conv import sigmoid
from aira_lib.models.fused.jit import compiled, narrow, read, wide, write, written

_ZERO, _ONE = np.float32(0), np.float32(1)


@compiled
def _gate(y, xbc, projected, skip, t, first, last, gated, sigmoids):
    """gated[0, c] = (y + D x) silu(z) at position t, and sigmoid(z); returns the sum of gated's squares."""
    squares = _ZERO
    for c in range(first, last):
        z = wide(read(projected, t, c))
        s = sigmoid(z)
        value = (wide(read(y, t, c)) + read(skip, 0, c) * wide(read(xbc, t, c))) * z * s
        write(sigmoids, 0, c, s)
        write(gated, 0, c, value)
        squares += value * value
    return squares


@compiled
def _store_scaled(gated, weight, t, first, last, scale, out):
    for c in range(first, last):
        write(out, t, c, narrow(read(gated, 0, c) * scale * read(weight, 0, c), written(out, 0, 0)))


@compiled
def finish(y, xbc, projected, skip, weight, groups, eps, out):
    """Write out = weight rms_norm((y + D x) silu(z)).

    Args:
        y: [length, d].
        xbc: x in its first d channels.
        projected: z in its first d channels.
        skip: D, one for each channel [1, d].
        weight: [1, d].
        groups: that are normalised each on its own.
        eps: of the norm.
        out: written [length, d].
    """
    size = weight.shape[1] // groups
    gated, sigmoids = np.empty(weight.shape, np.float32), np.empty(weight.shape, np.float32)
    for t in range(len(y)):
        for g in range(0, weight.shape[1], size):
            squares = _gate(y, xbc, projected, skip, t, g, g + size, gated, sigmoids)
            _store_scaled(gated, weight, t, g, g + size, np.float32(1.0 / math.sqrt(squares / size + eps)), out)


@compiled
def _dot(grad, weight, gated, t, first, last):
    total = _ZERO
    for c in range(first, last):
        total += wide(read(grad, t, c)) * read(weight, 0, c) * read(gated, 0, c)
    return total


@compiled
def _norm_backward(grad, weight, gated, t, first, last, scale, mean, of_gated, grad_weight):
    """of_gated[0, c]: the gradient of a group's gated values; adds to grad_weight."""
    for c in range(first, last):
        g, value = wide(read(grad, t, c)), read(gated, 0, c)
        write(grad_weight, 0, c, written(grad_weight, 0, c) + g * value * scale)
        write(of_gated, 0, c, scale * (g * read(weight, 0, c) - value * mean))


@compiled
def _gate_backward(y, xbc, projected, skip, of_gated, sigmoids, t, first, last, grad_projected, grad_y):
    for c in range(first, last):
        z, s, g = wide(read(projected, t, c)), read(sigmoids, 0, c), read(of_gated, 0, c)
        value = wide(read(y, t, c)) + read(skip, 0, c) * wide(read(xbc, t, c))
        write(grad_projected, t, c, narrow(g * value * s * (_ONE + z * (_ONE - s)), written(grad_projected, 0, 0)))
        write(grad_y, t, c, g * z * s)


@compiled
def _skip_backward(xbc, grad_y, skip, t, first, last, grad_xbc, grad_skip):
    for c in range(first, last):
        g = read(grad_y, t, c)
        write(grad_xbc, t, c, g * read(skip, 0, c))
        write(grad_skip, 0, c, written(grad_skip, 0, c) + g * wide(read(xbc, t, c)))


@compiled
def finish_backward(
    y, xbc, projected, skip, weight, groups, eps, grad, grad_y, grad_xbc, grad_projected, grad_weight, grad_skip
):
    """Gradients of `finish`: grad_y [length, d], the first d channels of grad_xbc and of grad_projected are written.

    grad_y and grad_xbc are fp32; grad_weight and grad_skip, both [1, d], are added to.
    """
    size = weight.shape[1] // groups
    gated, sigmoids = np.empty(weight.shape, np.float32), np.empty(weight.shape, np.float32)
    of_gated = np.empty(weight.shape, np.float32)
    for t in range(len(y)):
        for a in range(0, weight.shape[1], size):
            b = a + size
            squares = _gate(y, xbc, projected, skip, t, a, b, gated, sigmoids)
            scale = np.float32(1.0 / math.sqrt(squares / size + eps))
            mean = _dot(grad, weight, gated, t, a, b) * scale * scale / np.float32(size)
            _norm_backward(grad, weight, gated, t, a, b, scale, mean, of_gated, grad_weight)
            _gate_backward(y, xbc, projected, skip, of_gated, sigmoids, t, a, b, grad_projected, grad_y)
            _skip_backward(xbc, grad_y, skip, t, a, b, grad_xbc, grad_skip)
