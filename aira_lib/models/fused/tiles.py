"""Products of small tiles, written so that every inner loop runs along positions and vectorises.

A tile of LANES rows stands against one head's channels, which lie transposed: [channel, position].
"""

import numpy as np

from aira_lib.models.fused.jit import compiled

UNROLL = 4
"""Channels of a head taken together: a head's width must be a multiple."""

ZERO, ONE = np.float32(0), np.float32(1)


@compiled
def transpose(source, out):
    """out[c, r] = source[r, c]."""
    for r in range(source.shape[0]):
        for c in range(source.shape[1]):
            out[c, r] = source[r, c]


@compiled
def products(q, keys, scale, rows, n, out):
    """out[r, j] = scale sum_c q[r, c] keys[c, j]."""
    for r in range(rows):
        for c in range(0, q.shape[1], UNROLL):
            q0, q1, q2, q3 = scale * q[r, c], scale * q[r, c + 1], scale * q[r, c + 2], scale * q[r, c + 3]
            before = ZERO if c == 0 else ONE
            for j in range(n):
                out[r, j] = before * out[r, j] + (
                    q0 * keys[c, j] + q1 * keys[c + 1, j] + q2 * keys[c + 2, j] + q3 * keys[c + 3, j]
                )


@compiled
def weighted_sums(weights, values, rows, n, out):
    """out[r, c] = sum_j weights[r, j] values[c, j]."""
    for r in range(rows):
        for c in range(0, out.shape[1], UNROLL):
            a0, a1, a2, a3 = ZERO, ZERO, ZERO, ZERO
            for j in range(n):
                w = weights[r, j]
                a0 += w * values[c, j]
                a1 += w * values[c + 1, j]
                a2 += w * values[c + 2, j]
                a3 += w * values[c + 3, j]
            out[r, c], out[r, c + 1], out[r, c + 2], out[r, c + 3] = a0, a1, a2, a3


@compiled
def add_outer(weights, q, rows, n, out):
    """out[c, j] += sum_r weights[r, j] q[r, c]; rows is a multiple of UNROLL."""
    for c in range(out.shape[0]):
        for r in range(0, rows, UNROLL):
            q0, q1, q2, q3 = q[r, c], q[r + 1, c], q[r + 2, c], q[r + 3, c]
            for j in range(n):
                out[c, j] += (
                    q0 * weights[r, j] + q1 * weights[r + 1, j] + q2 * weights[r + 2, j] + q3 * weights[r + 3, j]
                )
