"""Products of small tiles, written so that every inner loop runs along contiguous memory and vectorises.

Numbers that are added up are taken UNROLL at a time: buffers have multiples of it, and 0 beyond what is theirs.
"""

import numpy as np

from aira_lib.models.fused.jit import compiled, inlined, read, wide, write, written

UNROLL = 8
ZERO, ONE = np.float32(0), np.float32(1)


@compiled
def rounded_up(n, step):
    """The least multiple of a step that is not below n."""
    return -(-n // step) * step


@compiled
def load_rows(source, first, rows, h, out):
    """out[r, c] = source[first + r, h, c], widened."""
    for r in range(rows):
        for c in range(source.shape[2]):
            out[r, c] = wide(source[first + r, h, c])


@compiled
def transpose(source, rows, out):
    """out[c, r] = source[r, c]."""
    for r in range(rows):
        for c in range(source.shape[1]):
            out[c, r] = source[r, c]


@inlined
def _dot(a, b):
    """sum_i a_i b_i of UNROLL numbers each, as a tree."""
    low = (a[0] * b[0] + a[1] * b[1]) + (a[2] * b[2] + a[3] * b[3])
    return low + ((a[4] * b[4] + a[5] * b[5]) + (a[6] * b[6] + a[7] * b[7]))


@inlined
def _along(q, r, c, scale):
    """What is at q[r, c], q[r, c + 1], ..., times a scale."""
    return (
        scale * read(q, r, c), scale * read(q, r, c + 1), scale * read(q, r, c + 2), scale * read(q, r, c + 3),
        scale * read(q, r, c + 4), scale * read(q, r, c + 5), scale * read(q, r, c + 6), scale * read(q, r, c + 7),
    )  # fmt: skip


@inlined
def _down(values, r, c):
    """What is at values[r, c], values[r + 1, c], ..."""
    return (
        read(values, r, c), read(values, r + 1, c), read(values, r + 2, c), read(values, r + 3, c),
        read(values, r + 4, c), read(values, r + 5, c), read(values, r + 6, c), read(values, r + 7, c),
    )  # fmt: skip


@compiled
def products(q, keys, scale, rows, terms, n, out):
    """out[r, j] = scale sum_c q[r, c] keys[c, j], c < terms, a multiple of UNROLL; rows is even."""
    for r in range(0, rows, 2):
        for c in range(0, terms, UNROLL):
            a, b = _along(q, r, c, scale), _along(q, r + 1, c, scale)
            if c == 0:
                for j in range(n):
                    k = _down(keys, c, j)
                    write(out, r, j, _dot(a, k))
                    write(out, r + 1, j, _dot(b, k))
            else:
                for j in range(n):
                    k = _down(keys, c, j)
                    write(out, r, j, written(out, r, j) + _dot(a, k))
                    write(out, r + 1, j, written(out, r + 1, j) + _dot(b, k))


@compiled
def add_outer(weights, q, rows, terms, n, out):
    """out[c, j] += sum_r weights[r, j] q[r, c], c < terms; rows is a multiple of UNROLL."""
    for r in range(0, rows, UNROLL):
        for c in range(terms):
            a = _down(q, r, c)
            for j in range(n):
                write(out, c, j, written(out, c, j) + _dot(a, _down(weights, r, j)))


@compiled
def weighted_sums(weights, values, rows, n, out):
    """out[r, c] = sum_j weights[r, j] values[c, j], for few c; rows is even."""
    for c in range(0, out.shape[1], 4):
        for r in range(0, rows, 2):
            a0, a1, a2, a3 = ZERO, ZERO, ZERO, ZERO
            b0, b1, b2, b3 = ZERO, ZERO, ZERO, ZERO
            for j in range(n):
                a, b = read(weights, r, j), read(weights, r + 1, j)
                v0, v1 = read(values, c, j), read(values, c + 1, j)
                v2, v3 = read(values, c + 2, j), read(values, c + 3, j)
                a0, a1, a2, a3 = a0 + a * v0, a1 + a * v1, a2 + a * v2, a3 + a * v3
                b0, b1, b2, b3 = b0 + b * v0, b1 + b * v1, b2 + b * v2, b3 + b * v3
            out[r, c], out[r, c + 1], out[r, c + 2], out[r, c + 3] = a0, a1, a2, a3
            out[r + 1, c], out[r + 1, c + 1], out[r + 1, c + 2], out[r + 1, c + 3] = b0, b1, b2, b3
