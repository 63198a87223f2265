"""Causal attention with rotary positions, from the fused projection to the mixed values, a head at a time.

Scores of LANES queries stay in the first-level cache and are never written out; the backward pass makes them again.
Forward every loop runs along the queries of a tile, backward along the keys: so nearly nothing is summed across lanes.
"""

import math
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from aira_lib.models.fused.jit import LANES, array, compiled, exponential, narrow, over, read, write, written
from aira_lib.models.fused.tiles import (
    ONE,
    UNROLL,
    ZERO,
    add_outer,
    load_rows,
    products,
    rounded_up,
    transpose,
    weighted_sums,
)

MOST_LENGTH, MOST_HEAD = 512, 32  # beyond these PyTorch's kernel, which works by tiles, is as fast
_MASKED = np.float32(-1e30)


def takes(length: int, head_dim: int) -> bool:
    """Whether the kernel is the faster one for this shape."""
    return length <= MOST_LENGTH and head_dim <= MOST_HEAD


def attend(heads: Tensor, n_heads: int, n_kv_heads: int, table: Tensor) -> Tensor:
    """Rotate queries and keys and mix the values.

    Args:
        heads: queries, keys, values [batch, length, n_heads + 2 n_kv_heads, head_dim], fp32 or bf16.
        n_heads: a multiple of n_kv_heads.
        n_kv_heads: of keys, and of values.
        table: cosines and sines [length, head_dim] (pairs of neighbours: cosine, sine), fp32.

    Returns:
        [batch, length, n_heads, head_dim], of the type of `heads`.
    """
    mixed: Tensor = _Attend.apply(heads, n_heads, n_kv_heads, table)
    return mixed


class _Attend(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, heads: Tensor, n_heads: int, n_kv_heads: int, table: Tensor) -> Tensor:
        heads = heads.contiguous()
        batch, length, _, head_dim = heads.shape
        table = F.pad(table, (0, -head_dim % UNROLL))
        mixed = heads.new_empty(batch, length, n_heads, head_dim)
        softmax = torch.empty(batch, n_heads, 2, length)
        arrays = [array(t) for t in (heads, table, mixed, softmax)]
        over(batch, lambda first, last: _forward(*arrays, n_kv_heads, first, last), heads.numel())
        ctx.save_for_backward(heads, table, mixed, softmax)
        ctx.n_kv_heads = n_kv_heads
        return mixed

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        heads, table, mixed, softmax = ctx.saved_tensors
        grad_heads = torch.empty_like(heads)
        arrays = [array(t) for t in (heads, table, mixed, softmax, grad.contiguous(), grad_heads)]
        over(len(heads), lambda first, last: _backward(*arrays, ctx.n_kv_heads, first, last), heads.numel())
        return grad_heads, None, None, None


@compiled
def _rotate(rows, table, first, n, sign):
    """Turn n rows of pairs of channels by their positions' angles, from position `first` on; back with sign -1."""
    flat, angles = rows.reshape(-1), table[first : first + n].reshape(-1)
    for pair in range(len(angles) // 2):
        x, y = flat[2 * pair], flat[2 * pair + 1]
        cosine, sine = angles[2 * pair], sign * angles[2 * pair + 1]
        flat[2 * pair], flat[2 * pair + 1] = x * cosine - y * sine, x * sine + y * cosine


@compiled
def _load_rotated(heads, b, first, n, h, table, out):
    load_rows(heads[b], first, n, h, out)
    _rotate(out, table, first, n, ONE)


@compiled
def _store(source, heads, b, first, rows, h):
    for r in range(rows):
        for c in range(heads.shape[3]):
            heads[b, first + r, h, c] = narrow(source[r, c], heads[b, 0, 0, 0])


@compiled
def _highest(scores, first, n, highest):
    """highest[0, r] over the keys j < n of scores[j, r], of which those after the query first + r are masked."""
    for j in range(first, n):
        for r in range(j - first):
            scores[j, r] = _MASKED
    for r in range(LANES):
        highest[0, r] = _MASKED
    _raise_to(scores, n, highest)


@compiled
def _raise_to(scores, n, highest):
    for j in range(0, n, 4):
        for r in range(LANES):
            two = max(read(scores, j, r), read(scores, j + 1, r))
            four = max(two, max(read(scores, j + 2, r), read(scores, j + 3, r)))
            write(highest, 0, r, max(written(highest, 0, r), four))


@compiled
def _weigh(scores, n, highest, total):
    """scores[j, r] become exp(scores - highest), and total[0, r] their sums over the keys j < n."""
    for r in range(LANES):
        write(total, 0, r, ZERO)
    for j in range(n):
        for r in range(LANES):
            weight = exponential(written(scores, j, r) - read(highest, 0, r))
            write(scores, j, r, weight)
            write(total, 0, r, written(total, 0, r) + weight)


@compiled
def _forward(heads, table, mixed, softmax, n_kv_heads, first, last):
    _, length, n_heads, head_dim = mixed.shape
    padded, width = rounded_up(length, LANES), table.shape[1]
    scale = np.float32(1.0 / math.sqrt(head_dim))
    keys, values = np.zeros((padded, width), np.float32), np.zeros((padded, width), np.float32)
    queries, scores = np.zeros((padded, width), np.float32), np.zeros((padded, LANES), np.float32)
    q, out = np.zeros((width, LANES), np.float32), np.zeros((width, LANES), np.float32)
    highest, total = np.zeros((1, LANES), np.float32), np.zeros((1, LANES), np.float32)
    group = n_heads // n_kv_heads
    for b in range(first, last):
        for h in range(n_heads):
            if h % group == 0:
                key_head = n_heads + h // group
                _load_rotated(heads, b, 0, length, key_head, table, keys)
                load_rows(heads[b], 0, length, key_head + n_kv_heads, values)
            _load_rotated(heads, b, 0, length, h, table, queries)
            for t in range(0, length, LANES):
                n, rows = t + LANES, min(LANES, length - t)
                transpose(queries[t:n], LANES, q)
                products(keys, q, scale, n, width, LANES, scores)
                _highest(scores, t, n, highest)
                _weigh(scores, n, highest, total)
                out[:] = ZERO
                add_outer(scores, values, n, width, LANES, out)
                for r in range(rows):
                    share = ONE / total[0, r]
                    softmax[b, h, 0, t + r], softmax[b, h, 1, t + r] = highest[0, r], share
                    for c in range(head_dim):
                        mixed[b, t + r, h, c] = narrow(out[c, r] * share, mixed[0, 0, 0, 0])


@compiled
def _score_gradients(scores, grad_weights, g, mixed, softmax, b, h, first, rows, n, scale):
    """Row by row: scores become weights, gradients of weights become gradients of scores."""
    for r in range(rows):
        highest, share = softmax[b, h, 0, first + r], softmax[b, h, 1, first + r]
        mean = ZERO
        for c in range(g.shape[1]):
            mean += read(g, r, c) * read(mixed, r, c)
        for j in range(n):
            weight = exponential(written(scores, r, j) - highest) * share
            write(scores, r, j, weight)
            write(grad_weights, r, j, weight * (written(grad_weights, r, j) - mean) * scale)
        for j in range(first + r + 1, n):
            scores[r, j], grad_weights[r, j] = ZERO, ZERO
    for r in range(rows, LANES):  # rows past the end weigh nothing
        for j in range(n):
            scores[r, j], grad_weights[r, j] = ZERO, ZERO


@compiled
def _backward(heads, table, mixed, softmax, grad, grad_heads, n_kv_heads, first, last):
    _, length, n_heads, head_dim = mixed.shape
    padded, width = rounded_up(length, LANES), table.shape[1]
    scale = np.float32(1.0 / math.sqrt(head_dim))
    keys, values = np.zeros((width, padded), np.float32), np.zeros((width, padded), np.float32)
    grad_keys, grad_values = np.zeros((width, padded), np.float32), np.zeros((width, padded), np.float32)
    loaded, grad_rows = np.zeros((padded, width), np.float32), np.zeros((padded, width), np.float32)
    weights, scores = np.zeros((LANES, padded), np.float32), np.zeros((LANES, padded), np.float32)
    q, g = np.zeros((LANES, width), np.float32), np.zeros((LANES, width), np.float32)
    own, out = np.zeros((LANES, width), np.float32), np.zeros((LANES, width), np.float32)
    group = n_heads // n_kv_heads
    for b in range(first, last):
        for h in range(n_heads):
            key_head = n_heads + h // group
            if h % group == 0:
                _load_rotated(heads, b, 0, length, key_head, table, loaded)
                transpose(loaded, length, keys)
                load_rows(heads[b], 0, length, key_head + n_kv_heads, loaded)
                transpose(loaded, length, values)
                grad_keys[:] = ZERO
                grad_values[:] = ZERO
            for t in range(0, length, LANES):
                n, rows = t + LANES, min(LANES, length - t)
                _load_rotated(heads, b, t, rows, h, table, q)
                load_rows(grad[b], t, rows, h, g)
                load_rows(mixed[b], t, rows, h, own)
                products(q, keys, scale, LANES, width, n, weights)
                products(g, values, ONE, LANES, width, n, scores)
                _score_gradients(weights, scores, g, own, softmax, b, h, t, rows, n, scale)
                add_outer(scores, q, LANES, width, n, grad_keys)
                add_outer(weights, g, LANES, width, n, grad_values)
                weighted_sums(scores, keys, LANES, n, out)
                _rotate(out, table, t, rows, -ONE)
                _store(out, grad_heads, b, t, rows, h)
            if h % group == group - 1:
                transpose(grad_keys, width, grad_rows)
                _rotate(grad_rows, table, 0, length, -ONE)
                _store(grad_rows, grad_heads, b, 0, length, key_head)
                transpose(grad_values, width, grad_rows)
                _store(grad_rows, grad_heads, b, 0, length, key_head + n_kv_heads)
