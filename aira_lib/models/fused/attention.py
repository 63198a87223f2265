"""Causal attention with rotary positions, from the fused projection to the mixed values, a head at a time.

Scores of one head stay in the first-level cache and are never written; the backward pass makes them again. Keys and
values lie transposed, so that every loop runs along the keys, whatever the width of a head.
"""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from aira_lib.models.fused.jit import LANES, array, compiled, exponential, narrow, over, wide
from aira_lib.models.fused.tiles import ONE, UNROLL, ZERO, add_outer, products, transpose, weighted_sums

MOST_LENGTH, MOST_HEAD = 512, 32  # beyond these PyTorch's kernel, which works by tiles, is as fast
_MASKED = np.float32(-1e30)


def takes(length: int, head_dim: int) -> bool:
    """Whether the kernel is the faster one for this shape."""
    return length <= MOST_LENGTH and head_dim <= MOST_HEAD and head_dim % UNROLL == 0


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
        mixed = heads.new_empty(batch, length, n_heads, head_dim)
        log_sums = torch.empty(batch, n_heads, length)
        arrays = [array(t) for t in (heads, table, mixed, log_sums)]
        over(batch, lambda first, last: _forward(*arrays, n_kv_heads, first, last), heads.numel())
        ctx.save_for_backward(heads, table, mixed, log_sums)
        ctx.n_kv_heads = n_kv_heads
        return mixed

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        heads, table, mixed, log_sums = ctx.saved_tensors
        grad_heads = torch.empty_like(heads)
        arrays = [array(t) for t in (heads, table, mixed, log_sums, grad.contiguous(), grad_heads)]
        over(len(heads), lambda first, last: _backward(*arrays, ctx.n_kv_heads, first, last), heads.numel())
        return grad_heads, None, None, None


@compiled
def _load_rotated(heads, b, first, rows, h, table, out):
    """out[r, c]: the channels of head h at positions first + r, turned by the angles of each."""
    for r in range(rows):
        for c in range(0, table.shape[1], 2):
            x, y = wide(heads[b, first + r, h, c]), wide(heads[b, first + r, h, c + 1])
            cosine, sine = table[first + r, c], table[first + r, c + 1]
            out[r, c], out[r, c + 1] = x * cosine - y * sine, x * sine + y * cosine


@compiled
def _store_unrotated(source, table, heads, b, first, rows, h):
    """The turn backwards, of gradients [r, c]."""
    for r in range(rows):
        for c in range(0, table.shape[1], 2):
            x, y = source[r, c], source[r, c + 1]
            cosine, sine = table[first + r, c], table[first + r, c + 1]
            heads[b, first + r, h, c] = narrow(x * cosine + y * sine, heads[b, 0, 0, 0])
            heads[b, first + r, h, c + 1] = narrow(y * cosine - x * sine, heads[b, 0, 0, 0])


@compiled
def _load(heads, b, first, rows, h, out):
    for r in range(rows):
        for c in range(heads.shape[3]):
            out[r, c] = wide(heads[b, first + r, h, c])


@compiled
def _store(source, heads, b, first, rows, h):
    for r in range(rows):
        for c in range(heads.shape[3]):
            heads[b, first + r, h, c] = narrow(source[r, c], heads[b, 0, 0, 0])


@compiled
def _softmax(scores, first, rows, n, log_sums, b, h):
    """Scores of row r's keys up to first + r become weights; the rest up to n becomes 0."""
    for r in range(rows):
        for j in range(first + r + 1, n):
            scores[r, j] = _MASKED
        highest = _MASKED
        for j in range(n):
            highest = max(highest, scores[r, j])
        total = ZERO
        for j in range(n):
            weight = exponential(scores[r, j] - highest)
            scores[r, j] = weight
            total += weight
        log_sums[b, h, first + r] = highest + np.float32(math.log(total))
        share = ONE / total
        for j in range(n):
            scores[r, j] *= share


@compiled
def _weights_again(scores, first, rows, n, log_sums, b, h):
    for r in range(rows):
        log_sum = log_sums[b, h, first + r]
        for j in range(n):
            scores[r, j] = exponential(min(scores[r, j] - log_sum, ZERO))
        for j in range(first + r + 1, n):
            scores[r, j] = ZERO


@compiled
def _score_gradients(weights, grad_weights, grad, mixed, b, first, h, scale, rows, n):
    for r in range(rows):
        mean = ZERO
        for c in range(grad.shape[1]):
            mean += grad[r, c] * wide(mixed[b, first + r, h, c])
        for j in range(n):
            grad_weights[r, j] = weights[r, j] * (grad_weights[r, j] - mean) * scale


@compiled
def _forward(heads, table, mixed, log_sums, n_kv_heads, first, last):
    _, length, n_heads, head_dim = mixed.shape
    padded = (length + LANES - 1) // LANES * LANES
    scale = np.float32(1.0 / math.sqrt(head_dim))
    keys, values = np.zeros((head_dim, padded), np.float32), np.zeros((head_dim, padded), np.float32)
    rows_in, weights = np.zeros((padded, head_dim), np.float32), np.zeros((LANES, padded), np.float32)
    q, out = np.zeros((LANES, head_dim), np.float32), np.zeros((LANES, head_dim), np.float32)
    group = n_heads // n_kv_heads
    for b in range(first, last):
        for h in range(n_heads):
            if h % group == 0:
                key_head = n_heads + h // group
                _load_rotated(heads, b, 0, length, key_head, table, rows_in)
                transpose(rows_in, keys)
                _load(heads, b, 0, length, key_head + n_kv_heads, rows_in)
                transpose(rows_in, values)
            for t in range(0, length, LANES):
                n, rows = t + LANES, min(LANES, length - t)
                _load_rotated(heads, b, t, rows, h, table, q)
                products(q, keys, scale, rows, n, weights)
                _softmax(weights, t, rows, n, log_sums, b, h)
                weighted_sums(weights, values, rows, n, out)
                _store(out, mixed, b, t, rows, h)


@compiled
def _backward(heads, table, mixed, log_sums, grad, grad_heads, n_kv_heads, first, last):
    _, length, n_heads, head_dim = mixed.shape
    padded = (length + LANES - 1) // LANES * LANES
    scale = np.float32(1.0 / math.sqrt(head_dim))
    keys, values = np.zeros((head_dim, padded), np.float32), np.zeros((head_dim, padded), np.float32)
    grad_keys, grad_values = np.zeros((head_dim, padded), np.float32), np.zeros((head_dim, padded), np.float32)
    rows_in = np.zeros((padded, head_dim), np.float32)
    weights, scores = np.zeros((LANES, padded), np.float32), np.zeros((LANES, padded), np.float32)
    q, g = np.zeros((LANES, head_dim), np.float32), np.zeros((LANES, head_dim), np.float32)
    out = np.zeros((LANES, head_dim), np.float32)
    group = n_heads // n_kv_heads
    for b in range(first, last):
        for h in range(n_heads):
            key_head = n_heads + h // group
            if h % group == 0:
                _load_rotated(heads, b, 0, length, key_head, table, rows_in)
                transpose(rows_in, keys)
                _load(heads, b, 0, length, key_head + n_kv_heads, rows_in)
                transpose(rows_in, values)
                grad_keys[:] = ZERO
                grad_values[:] = ZERO
            for t in range(0, length, LANES):
                n, rows = t + LANES, min(LANES, length - t)
                if rows < LANES:  # rows past the end weigh nothing
                    q[:], g[:], weights[:], scores[:] = ZERO, ZERO, ZERO, ZERO
                _load_rotated(heads, b, t, rows, h, table, q)
                _load(grad, b, t, rows, h, g)
                products(q, keys, scale, rows, n, weights)
                _weights_again(weights, t, rows, n, log_sums, b, h)
                products(g, values, ONE, rows, n, scores)
                _score_gradients(weights, scores, g, mixed, b, t, h, scale, rows, n)
                add_outer(scores, q, LANES, n, grad_keys)
                add_outer(weights, g, LANES, n, grad_values)
                weighted_sums(scores, keys, rows, n, out)
                _store_unrotated(out, table, grad_heads, b, t, rows, h)
            if h % group == group - 1:
                transpose(grad_keys, rows_in)
                _store_unrotated(rows_in, table, grad_heads, b, 0, length, key_head)
                transpose(grad_values, rows_in)
                _store(rows_in, grad_heads, b, 0, length, key_head + n_kv_heads)
