"""Causal multi-head attention with grouped key-value heads and rotary position embeddings."""

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

            if attention.takes(x.shape[1], self.head_dim):
                pairs = rotary_pairs(x.shape[1], self.head_dim, self.theta)
                return self.out(attention.attend(heads, self.n_heads, self.n_kv_heads, pairs).flatten(2))  # type: ignore[no-any-return]
        qk, v = torch.split(heads, [self.n_heads + self.n_kv_heads, self.n_kv_heads], dim=2)
        qk = rotate(qk, rotary_table(x.shape[1], self.head_dim, self.theta, x.dtype, x.device))
        q, k = torch.split(qk, [self.n_heads, self.n_kv_heads], dim=2)
        q, k, v = q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=self.n_kv_heads != self.n_heads)
        return self.out(mixed.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]
