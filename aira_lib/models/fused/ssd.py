"""Mamba-2's recurrence over one sequence, as masked products: y_i = sum_j (C_i B_j) exp(s_i - s_j) dt_j x_j.

s are the running sums of A dt. The decays of a tile are made from sums relative to the tile's first row, so that no
digits are lost however long the sequence is; the backward pass makes them again, and C_i B_j too.
"""

import numpy as np

from aira_lib.models.fused.jit import LANES, compiled, exponential, narrow, read, wide, write, written
from aira_lib.models.fused.tiles import ONE, UNROLL, ZERO, add_outer, products, rounded_up, transpose

_VECTOR = 16  # fp32 numbers; heads have a multiple of it in the buffers


@compiled
def _load(source, first, width, out):
    """out[t, c] = source[t, first + c], c < width."""
    for t in range(len(source)):
        for c in range(width):
            write(out, t, c, wide(read(source, t, first + c)))


@compiled
def _scores(xbc, first, d_state, groups, B, C, transposed, scores):
    """Load B and C of the group whose B begins at channel `first`; scores[i, j] = C_i B_j up to the diagonal's tile."""
    _load(xbc, first, d_state, B)
    _load(xbc, first + groups * d_state, d_state, C)
    transpose(B, len(xbc), transposed)
    for t in range(0, len(C), LANES):
        products(C[t : t + LANES], transposed, ONE, LANES, B.shape[1], t + LANES, scores[t : t + LANES])


@compiled
def _load_head(xbc, dt, h, head_dim, x, x_dt):
    """x[t, p] of a head, and the same times dt."""
    for t in range(len(xbc)):
        step = dt[t, h]
        for p in range(head_dim):
            value = wide(read(xbc, t, h * head_dim + p))
            write(x, t, p, value)
            write(x_dt, t, p, value * step)


@compiled
def _running_sums(dt, a, h, sums):
    total = 0.0
    for t in range(len(dt)):
        total += dt[t, h] * a
        sums[t] = total
    sums[len(dt) :] = total


@compiled
def _relative_sums(sums, first, n, relative):
    for j in range(n):
        relative[0, j] = np.float32(sums[j] - sums[first])


@compiled
def _decays(relative, scores, first, n, decays, weights):
    """decays[r, j] = exp(sums[first + r] - sums[j]) for j up to first + r, 0 after it; weights: scores times these."""
    for r in range(LANES):
        own = read(relative, 0, first + r)
        for j in range(n):
            decay = exponential(min(own - read(relative, 0, j), ZERO))
            write(decays, r, j, decay)
            write(weights, r, j, decay * read(scores, r, j))
        for j in range(first + r + 1, n):
            write(decays, r, j, ZERO)
            write(weights, r, j, ZERO)


@compiled
def _store(source, rows, first, h, head_dim, out):
    for r in range(rows):
        for p in range(head_dim):
            out[first + r, h * head_dim + p] = narrow(source[r, p], out[0, 0])


@compiled
def _state_buffers(length, d_state):
    """For a group: B, C, B transposed, and the scores."""
    padded, states = rounded_up(length, LANES), rounded_up(d_state, UNROLL)
    rows, other = np.zeros((padded, states), np.float32), np.zeros((padded, states), np.float32)
    return rows, other, np.zeros((states, padded), np.float32), np.zeros((padded, padded), np.float32)


@compiled
def _head_buffers(length, head_dim):
    """For a head: x, x times dt, the running sums, those relative to a tile; for a tile: decays and weights."""
    padded, width = rounded_up(length, LANES), rounded_up(head_dim, _VECTOR)
    x, x_dt = np.zeros((padded, width), np.float32), np.zeros((padded, width), np.float32)
    decays, weights = np.zeros((LANES, padded), np.float32), np.zeros((LANES, padded), np.float32)
    return x, x_dt, np.zeros(padded), np.zeros((1, padded), np.float32), decays, weights


@compiled
def scan(xbc, dt, a, groups, d_state, y):
    """Write y [length, heads head_dim].

    Args:
        xbc: x in its first heads x head_dim channels, then B and C of all groups [length, channels].
        dt: [length, heads], positive.
        a: A [heads], negative.
        groups: of B and C.
        d_state: of a group's B, and of its C.
        y: written.
    """
    (length, heads), d_ssm = dt.shape, y.shape[1]
    head_dim, group = d_ssm // heads, heads // groups
    B, C, transposed, scores = _state_buffers(length, d_state)
    x, x_dt, sums, relative, decays, weights = _head_buffers(length, head_dim)
    width = x.shape[1]
    out = np.zeros((LANES, width), np.float32)
    for h in range(heads):
        if h % group == 0:
            _scores(xbc, d_ssm + h // group * d_state, d_state, groups, B, C, transposed, scores)
        _load_head(xbc, dt, h, head_dim, x, x_dt)
        _running_sums(dt, a[h], h, sums)
        for t in range(0, length, LANES):
            n = t + LANES
            _relative_sums(sums, t, n, relative)
            _decays(relative, scores[t:n], t, n, decays, weights)
            products(weights, x_dt, ONE, LANES, n, width, out)
            _store(out, min(LANES, length - t), t, h, head_dim, y)


@compiled
def _load_gradient(grad_y, first, rows, h, head_dim, g):
    """g[r, p] of the head's rows; those past the end are 0 and weigh nothing."""
    for r in range(rows):
        for p in range(head_dim):
            g[r, p] = grad_y[first + r, h * head_dim + p]
    g[rows:] = ZERO


@compiled
def _gradients_of_tile(decays, weights, grad_weights, n, grad_scores, grad_sums):
    """Add a tile to the gradients of the scores and, by column, of the running sums, in fp64: they nearly cancel."""
    for r in range(LANES):
        for j in range(n):
            grad = read(grad_weights, r, j)
            write(grad_scores, r, j, written(grad_scores, r, j) + grad * read(decays, r, j))
            write(grad_sums, 0, j, written(grad_sums, 0, j) - np.float64(grad * read(weights, r, j)))


@compiled
def _gradients_of_rows(weights, grad_weights, first, n, grad_sums):
    """Add what a tile's rows are to the gradients of their own running sums: the same numbers as by column."""
    for r in range(LANES):
        total = 0.0
        for j in range(n):
            total += np.float64(read(grad_weights, r, j) * read(weights, r, j))
        grad_sums[0, first + r] += total


@compiled
def _gradients_of_head(grad_x_dt, x, dt, a, grad_sums, h, head_dim, grad_xbc, grad_dt):
    """Write what a head's tiles came to; returns the gradient of its A."""
    later, grad_a = 0.0, 0.0
    for t in range(len(dt) - 1, -1, -1):
        step = dt[t, h]
        later += grad_sums[0, t]
        dot = ZERO
        for p in range(head_dim):
            dot += grad_x_dt[t, p] * x[t, p]
        for p in range(head_dim):
            grad_xbc[t, h * head_dim + p] += grad_x_dt[t, p] * step
        grad_dt[t, h] = dot + a * later
        grad_a += step * later
    return grad_a


@compiled
def _gradients_of_states(grad_scores, B, C, first, d_state, groups, grad_B, grad_C, grad_xbc):
    """Write those of a group's B and C."""
    grad_B[:] = ZERO
    for t in range(0, len(C), LANES):
        n = t + LANES
        products(grad_scores[t:n], B, ONE, LANES, n, B.shape[1], grad_C[t:n])
        add_outer(C[t:n], grad_scores[t:n], LANES, n, B.shape[1], grad_B)
    for t in range(len(grad_xbc)):
        for s in range(d_state):
            grad_xbc[t, first + s] = grad_B[t, s]
        for s in range(d_state):
            grad_xbc[t, first + groups * d_state + s] = grad_C[t, s]


@compiled
def scan_backward(xbc, dt, a, groups, d_state, grad_y, grad_xbc, grad_dt, grad_a):
    """Gradients of `scan`.

    Args:
        xbc: as of `scan`.
        dt: as of `scan`.
        a: as of `scan`.
        groups: as of `scan`.
        d_state: as of `scan`.
        grad_y: like y, fp32.
        grad_xbc: fp32; x's channels are added to, B's and C's written.
        grad_dt: written, fp32.
        grad_a: added to [heads].
    """
    (length, heads), d_ssm = dt.shape, grad_y.shape[1]
    head_dim, group = d_ssm // heads, heads // groups
    B, C, transposed, scores = _state_buffers(length, d_state)
    x, x_dt, sums, relative, decays, weights = _head_buffers(length, head_dim)
    padded, width = x.shape
    grad_B, grad_C = np.zeros(B.shape, np.float32), np.zeros(C.shape, np.float32)
    x_dt_transposed, grad_x_dt = np.zeros((width, padded), np.float32), np.zeros((padded, width), np.float32)
    grad_weights, g = np.zeros((LANES, padded), np.float32), np.zeros((LANES, width), np.float32)
    grad_sums, grad_scores = np.zeros((1, padded)), np.zeros((padded, padded), np.float32)
    for h in range(heads):
        first = d_ssm + h // group * d_state
        if h % group == 0:
            _scores(xbc, first, d_state, groups, B, C, transposed, scores)
            grad_scores[:] = ZERO
        _load_head(xbc, dt, h, head_dim, x, x_dt)
        transpose(x_dt, length, x_dt_transposed)
        _running_sums(dt, a[h], h, sums)
        grad_x_dt[:] = ZERO
        grad_sums[:] = 0.0
        for t in range(0, length, LANES):
            n = t + LANES
            _load_gradient(grad_y, t, min(LANES, length - t), h, head_dim, g)
            _relative_sums(sums, t, n, relative)
            _decays(relative, scores[t:n], t, n, decays, weights)
            products(g, x_dt_transposed, ONE, LANES, width, n, grad_weights)
            add_outer(g, weights, LANES, n, width, grad_x_dt)
            _gradients_of_tile(decays, weights, grad_weights, n, grad_scores[t:n], grad_sums)
            _gradients_of_rows(weights, grad_weights, t, n, grad_sums)
        grad_a[h] += _gradients_of_head(grad_x_dt, x, dt, a[h], grad_sums, h, head_dim, grad_xbc, grad_dt)
        if h % group == group - 1:
            _gradients_of_states(grad_scores, B, C, first, d_state, groups, grad_B, grad_C, grad_xbc)
