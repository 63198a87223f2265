"""Causal multi-head attention with grouped key-value heads and rotary position embeddings, whole or in a window."""

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aira_lib.architecture.scales import Scale
from aira_lib.models import fused
from aira_lib.models.scan import Kernel


@lru_cache(maxsize=32)
def rotary_pairs(length: int, head_dim: int, theta: float) -> Tensor:
    """The same angles for the fused kernel: cosine and sine, pair by pair, [length, head_dim] in fp32."""
    table = rotary_table(length, head_dim, theta, torch.float32, torch.device("cpu"))
    return torch.view_as_real(table).view(length, head_dim).contiguous()


@lru_cache(maxsize=32)
def rotary_table(length: int, head_dim: int, theta: float, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Unit complex numbers exp(i t theta^(-2j/head_dim)).

    Returns:
        Complex tensor [length, 1, head_dim / 2]: it broadcasts over the heads of [batch, length, heads, head_dim / 2].
    """
    exponents = torch.arange(0, head_dim, 2, dtype=torch.float64) / head_dim
    angles = torch.outer(torch.arange(length, dtype=torch.float64), theta**-exponents)
    complex_dtype = torch.complex128 if dtype == torch.float64 else torch.complex64
    return torch.polar(torch.ones_like(angles), angles).to(device=device, dtype=complex_dtype).unsqueeze(1)


def rotate(x: Tensor, table: Tensor) -> Tensor:
    """Turn each pair of neighbouring channels of x by its position's angle (RoPE in the interleaved convention).

    Args:
        x: queries or keys [batch, length, heads, head_dim], head_dim even.
        table: from `rotary_table`, for the same length.
    """
    pairs = torch.view_as_complex((x if x.dtype == torch.float64 else x.float()).reshape(*x.shape[:-1], -1, 2))
    return torch.view_as_real(pairs * table).flatten(-2).to(x.dtype)


class Attention(nn.Module):
    """Multi-head causal attention without biases; queries, keys and values come from one fused projection.

    Parameters: d (n_heads + 2 n_kv_heads) head_dim for `qkv` and n_heads head_dim d for `out`.

    Args:
        scale: dimensions.
        kernel: "torch" for plain PyTorch; else the fused CPU kernel where it is the faster one.
    """

    def __init__(self, scale: Scale, kernel: Kernel = "auto") -> None:
        super().__init__()
        self.kernel = kernel
        if scale.head_dim % 2:
            raise ValueError(f"rotary embeddings need an even head_dim, not {scale.head_dim}")
        self.n_heads, self.n_kv_heads, self.head_dim = scale.n_heads, scale.n_kv_heads, scale.head_dim
        self.theta = scale.rope_theta
        self.qkv = nn.Linear(scale.d_model, (self.n_heads + 2 * self.n_kv_heads) * self.head_dim, bias=False)
        self.out = nn.Linear(self.n_heads * self.head_dim, scale.d_model, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Mix [batch, length, d_model] over positions; position t sees positions up to t."""
        heads = self.qkv(x).view(*x.shape[:2], -1, self.head_dim)
        if fused.usable(heads, self.kernel):
            from aira_lib.models.fused import attention

            if attention.takes(x.shape[1], self.head_dim) and fused.finite(heads):
                pairs = rotary_pairs(x.shape[1], self.head_dim, self.theta)
                return self.out(attention.attend(heads, self.n_heads, self.n_kv_heads, pairs).flatten(2))  # type: ignore[no-any-return]
        return self.out(attend(*self._rotated(heads)).flatten(2))  # type: ignore[no-any-return]

    def _rotated(self, heads: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values [batch, length, heads of each, head_dim] of one projection, turned by position."""
        qk, v = torch.split(heads, [self.n_heads + self.n_kv_heads, self.n_kv_heads], dim=2)
        qk = rotate(qk, rotary_table(heads.shape[1], self.head_dim, self.theta, heads.dtype, heads.device))
        q, k = torch.split(qk, [self.n_heads, self.n_kv_heads], dim=2)
        return q, k, v


class WindowAttention(Attention):
    """`Attention` in which a position sees itself and the window - 1 positions before it.

    The same parameters. Where the window covers the sequence it is `Attention`; sequences of more than two windows are
    mixed in blocks, so that time and memory are O(length x window); a band of the whole matrix serves those between.

    Args:
        scale: dimensions; the window is its `attention_window`.
        kernel: as of `Attention`, for sequences that the window covers.
    """

    def __init__(self, scale: Scale, kernel: Kernel = "auto") -> None:
        super().__init__(scale, kernel)
        self.window = scale.attention_window

    def forward(self, x: Tensor) -> Tensor:
        """Mix [batch, length, d_model] over positions; position t sees positions t - window + 1 to t."""
        length = x.shape[1]
        if length <= self.window:
            return super().forward(x)
        q, k, v = self._rotated(self.qkv(x).view(*x.shape[:2], -1, self.head_dim))
        if length <= 2 * self.window:
            mixed = attend(q, k, v, band(length, length, self.window, x.device))
        else:
            mixed = attend_in_blocks(q, k, v, self.window)
        return self.out(mixed.flatten(2))  # type: ignore[no-any-return]


def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    """Softmax attention [batch, length, heads, head_dim], causal where no mask says what is seen.

    Args:
        q: queries [batch, length, heads, head_dim].
        k: keys [batch, positions, key heads, head_dim]; each serves heads / key heads query heads.
        v: values, as the keys.
        mask: [length, positions], True where a query sees a key.
    """
    grouped = q.shape[2] != k.shape[2]
    q, k, v = q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)
    mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=mask is None, enable_gqa=grouped)
    return mixed.transpose(1, 2)


def attend_in_blocks(q: Tensor, k: Tensor, v: Tensor, window: int) -> Tensor:
    """Window attention of a sequence of more than one window; arguments and result as of `attend`.

    The sequence is cut into blocks of a window. Queries see keys of their own block and of the one before it alone;
    those of the first block have none before, which is causal attention.
    """
    batch, length = q.shape[:2]
    q, k, v = (_blocks(x, window) for x in (q, k, v))
    first = attend(q[:, 0], k[:, 0], v[:, 0])
    k, v = (torch.cat((x[:, :-1], x[:, 1:]), dim=2).flatten(0, 1) for x in (k, v))
    others = attend(q[:, 1:].flatten(0, 1), k, v, band(window, 2 * window, window, q.device))
    return torch.cat((first, others.reshape(batch, -1, *others.shape[2:])), dim=1)[:, :length]


def _blocks(x: Tensor, window: int) -> Tensor:
    """[batch, blocks, window, heads, head_dim]; zeros, which no real query sees, fill the last block."""
    padded = F.pad(x, (0, 0, 0, 0, 0, -x.shape[1] % window))
    return padded.view(len(x), -1, window, *x.shape[2:])


@lru_cache(maxsize=32)
def band(queries: int, keys: int, window: int, device: torch.device) -> Tensor:
    """[queries, keys]: True where the key is one of the last `window` up to the query; both end at one position."""
    behind = torch.arange(keys - queries, keys, device=device)[:, None] - torch.arange(keys, device=device)
    return (behind >= 0) & (behind < window)
