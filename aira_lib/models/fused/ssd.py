"""Mamba-2's recurrence over one chunk, as masked products: y_i = sum_j (C_i B_j) exp(s_i - s_j) dt_j x_j.

s are the running sums of A dt. The decays of a tile are made from sums relative to the tile's first row, so that no
digits are lost however long the sequence is; the backward pass makes them again.
"""

import numpy as np

from aira_lib.models.fused.jit import LANES, compiled, exponential, narrow, wide
from aira_lib.models.fused.tiles import ZERO, add_outer, products, transpose, weighted_sums


@compiled
def _load_head(xbc, dt, b, h, x, x_dt):
    """x[p, t] of a head, and the same times dt."""
    head_dim = x.shape[0]
    for t in range(xbc.shape[1]):
        step = dt[b, t, h]
        for p in range(head_dim):
            value = wide(xbc[b, t, h * head_dim + p])
            x[p, t] = value
            x_dt[p, t] = value * step


@compiled
def _running_sums(dt, a, b, h, sums):
    total = 0.0
    for t in range(dt.shape[1]):
        total += dt[b, t, h] * a
        sums[t] = total
    for t in range(dt.shape[1], len(sums)):
        sums[t] = total


@compiled
def _decays(sums, first, rows, n, relative, decays):
    """decays[r, j] = exp(sums[first + r] - sums[j]) for j up to first + r, and 0 after it."""
    for j in range(n):
        relative[j] = np.float32(sums[j] - sums[first])
    for r in range(rows):
        own = relative[first + r]
        for j in range(n):
            decays[r, j] = exponential(min(own - relative[j], ZERO))
        for j in range(first + r + 1, n):
            decays[r, j] = ZERO


@compiled
def _load_scores(scores, b, g, out):
    """out[i, j], fp32, up to the diagonal; what lies above it is of no use and stays as it is."""
    for i in range(scores.shape[2]):
        for j in range(i + 1):
            out[i, j] = wide(scores[b, g, i, j])


@compiled
def _times(scores, first, rows, n, decays, weights):
    """weights[r, j] = scores of C and B times decays."""
    for r in range(rows):
        for j in range(n):
            weights[r, j] = scores[first + r, j] * decays[r, j]


@compiled
def scan(xbc, dt, a, scores, y, first, last):
    """Write y [batch, length, heads head_dim] for the batch rows first to last.

    Args:
        xbc: x in its first heads x head_dim channels [batch, length, channels].
        dt: [batch, length, heads], positive.
        a: A [heads], negative.
        scores: C B^T [batch, groups, length, length].
        y: written.
        first: of the batch.
        last: of the batch, excluded.
    """
    length, heads = dt.shape[1], dt.shape[2]
    head_dim = y.shape[2] // heads
    padded = (length + LANES - 1) // LANES * LANES
    x, x_dt = np.zeros((head_dim, padded), np.float32), np.zeros((head_dim, padded), np.float32)
    sums, relative = np.zeros(padded), np.zeros(padded, np.float32)
    decays, weights = np.zeros((LANES, padded), np.float32), np.zeros((LANES, padded), np.float32)
    out = np.zeros((LANES, head_dim), np.float32)
    own, group = np.zeros((padded, padded), np.float32), heads // scores.shape[1]
    for b in range(first, last):
        for h in range(heads):
            if h % group == 0:
                _load_scores(scores, b, h // group, own)
            _load_head(xbc, dt, b, h, x, x_dt)
            _running_sums(dt, a[h], b, h, sums)
            for t in range(0, length, LANES):
                n, rows = t + LANES, min(LANES, length - t)
                _decays(sums, t, rows, n, relative, decays)
                _times(own, t, rows, n, decays, weights)
                weighted_sums(weights, x_dt, rows, n, out)
                for r in range(rows):
                    for p in range(head_dim):
                        y[b, t + r, h * head_dim + p] = narrow(out[r, p], y[0, 0, 0])


@compiled
def _gradients_of_tile(decays, weights, grad_weights, grad_scores, first, rows, n, grad_sums):
    """Add a tile to the gradients of the scores and of the running sums: those in fp64, for they nearly cancel."""
    for r in range(rows):
        total = 0.0
        for j in range(n):
            share = np.float64(grad_weights[r, j]) * np.float64(weights[r, j])
            grad_scores[first + r, j] += grad_weights[r, j] * decays[r, j]
            grad_sums[j] -= share
            total += share
        grad_sums[first + r] += total


@compiled
def _gradients_of_head(grad_x_dt, x, dt, a, grad_sums, b, h, grad_xbc, grad_dt):
    """Write what a head's tiles came to; returns the gradient of its A."""
    head_dim, length = x.shape[0], dt.shape[1]
    later, grad_a = 0.0, 0.0
    for t in range(length - 1, -1, -1):
        step = dt[b, t, h]
        later += grad_sums[t]
        dot = ZERO
        for p in range(head_dim):
            dot += grad_x_dt[t, p] * x[p, t]
            grad_xbc[b, t, h * head_dim + p] += grad_x_dt[t, p] * step
        grad_dt[b, t, h] = dot + a * later
        grad_a += step * later
    return grad_a


@compiled
def scan_backward(xbc, dt, a, scores, grad_y, grad_xbc, grad_dt, grad_a, grad_scores, first, last):
    """Gradients of `scan`.

    Args:
        xbc: as of `scan`.
        dt: as of `scan`.
        a: as of `scan`.
        scores: as of `scan`.
        grad_y: like y, fp32.
        grad_xbc: added to, fp32.
        grad_dt: written.
        grad_a: written [batch, heads].
        grad_scores: written.
        first: of the batch.
        last: of the batch, excluded.
    """
    length, heads = dt.shape[1], dt.shape[2]
    head_dim = grad_y.shape[2] // heads
    padded = (length + LANES - 1) // LANES * LANES
    x, x_dt = np.zeros((head_dim, padded), np.float32), np.zeros((head_dim, padded), np.float32)
    grad_x_dt, grad_rows = np.zeros((head_dim, padded), np.float32), np.zeros((padded, head_dim), np.float32)
    sums, relative = np.zeros(padded), np.zeros(padded, np.float32)
    decays, weights = np.zeros((LANES, padded), np.float32), np.zeros((LANES, padded), np.float32)
    grad_weights, g = np.zeros((LANES, padded), np.float32), np.zeros((LANES, head_dim), np.float32)
    grad_sums, grad_own = np.zeros(padded), np.zeros((padded, padded), np.float32)
    own, group = np.zeros((padded, padded), np.float32), heads // scores.shape[1]
    for b in range(first, last):
        for h in range(heads):
            if h % group == 0:
                _load_scores(scores, b, h // group, own)
                grad_own[:] = ZERO
            _load_head(xbc, dt, b, h, x, x_dt)
            _running_sums(dt, a[h], b, h, sums)
            grad_x_dt[:] = ZERO
            grad_sums[:] = 0.0
            for t in range(0, length, LANES):
                n, rows = t + LANES, min(LANES, length - t)
                if rows < LANES:  # rows past the end weigh nothing
                    weights[:], g[:] = ZERO, ZERO
                for r in range(rows):
                    for p in range(head_dim):
                        g[r, p] = grad_y[b, t + r, h * head_dim + p]
                _decays(sums, t, rows, n, relative, decays)
                _times(own, t, rows, n, decays, weights)
                products(g, x_dt, np.float32(1), rows, n, grad_weights)
                add_outer(weights, g, LANES, n, grad_x_dt)
                _gradients_of_tile(decays, weights, grad_weights, grad_own, t, rows, n, grad_sums)
            transpose(grad_x_dt, grad_rows)
            grad_a[b, h] = _gradients_of_head(grad_rows, x, dt, a[h], grad_sums, b, h, grad_xbc, grad_dt)
            if h % group == group - 1:
                for i in range(length):
                    for j in range(length):
                        grad_scores[b, h // group, i, j] = narrow(grad_own[i, j], grad_scores[0, 0, 0, 0])
