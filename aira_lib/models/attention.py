"""Causal multi-head attention with grouped key-value heads and rotary position embeddings, whole or in a window."""

from typing import ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aira_lib.architecture.scales import Scale
from aira_lib.models import fused
from aira_lib.models.masks import Documents, band
from aira_lib.models.rotary import Table, rotary_pairs, rotary_table, rotate
from aira_lib.models.scan import Kernel


class KeyValues(NamedTuple):
    """What decoding keeps of attention.

    Attributes:
        keys: turned by their positions [batch, held, key heads, head_dim].
        values: as the keys.
        position: of the next token; more than are held where a window has passed on.
    """

    keys: Tensor
    values: Tensor
    position: int


class Attention(nn.Module):
    """Multi-head causal attention without biases; queries, keys and values come from one fused projection.

    Parameters: d (n_heads + 2 n_kv_heads) head_dim for `qkv` and n_heads head_dim d for `out`.

    Args:
        scale: dimensions.
        kernel: "torch" for plain PyTorch; else the fused CPU kernel where it is the faster one.
    """

    output_projection: ClassVar[str] = "out"

    def __init__(self, scale: Scale, kernel: Kernel = "auto") -> None:
        super().__init__()
        self.kernel = kernel
        if scale.head_dim % 2:
            raise ValueError(f"rotary embeddings need an even head_dim, not {scale.head_dim}")
        self.n_heads, self.n_kv_heads, self.head_dim = scale.n_heads, scale.n_kv_heads, scale.head_dim
        self.theta, self.scaling = scale.rope_theta, scale.rope_scaling
        self.window: int | None = None
        self._angles: Table | None = None
        self.qkv = nn.Linear(scale.d_model, (self.n_heads + 2 * self.n_kv_heads) * self.head_dim, bias=False)
        self.out = nn.Linear(self.n_heads * self.head_dim, scale.d_model, bias=False)

    def forward(self, x: Tensor, documents: Documents | None = None) -> Tensor:
        """Mix [batch, length, d_model] over positions; position t sees those up to t, of its own document if given."""
        heads = self._heads(x)
        if documents is None and self._sees_all(x.shape[1]) and (mixed := self._fused(heads)) is not None:
            return self.out(mixed)  # type: ignore[no-any-return]
        return self.out(self._mix(*self._rotated(heads), documents).flatten(2))  # type: ignore[no-any-return]

    def extend(self, x: Tensor, state: KeyValues | None) -> tuple[Tensor, KeyValues]:
        """Go on with the next positions [batch, new, d_model] of a sequence, from its state; None at its beginning.

        The state grows with the sequence, up to window - 1 positions where there is a window.
        """
        position = state.position if state else 0
        q, k, v = self._rotated(self._heads(x), position)
        if state is None:
            mixed = self._mix(q, k, v, None)
        else:
            k, v = torch.cat((state.keys, k), dim=1), torch.cat((state.values, v), dim=1)
            mixed = attend(q, k, v, band(q.shape[1], k.shape[1], self.window or k.shape[1], x.device))
        passed = 0 if self.window is None else max(0, k.shape[1] - self.window + 1)
        if passed or state is None:  # a part would hold on to the whole, at the beginning to the projection
            k, v = k[:, passed:].clone(), v[:, passed:].clone()
        return self.out(mixed.flatten(2)), KeyValues(k, v, position + x.shape[1])

    def _heads(self, x: Tensor) -> Tensor:
        return self.qkv(x).view(*x.shape[:2], -1, self.head_dim)  # type: ignore[no-any-return]

    def _sees_all(self, length: int) -> bool:
        return self.window is None or length <= self.window

    def _fused(self, heads: Tensor) -> Tensor | None:
        """What the output projection takes, by the fused CPU kernel; None where it does not apply."""
        if not fused.usable(heads, self.kernel):
            return None
        from aira_lib.models.fused import attention

        length = heads.shape[1]
        if not (attention.takes(length, self.head_dim) and fused.finite(heads)):
            return None
        pairs = rotary_pairs(length, self.head_dim, self.theta, self.scaling)
        return attention.attend(heads, self.n_heads, self.n_kv_heads, pairs).flatten(2)

    def _rotated(self, heads: Tensor, position: int = 0) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values [batch, length, heads of each, head_dim] of one projection, turned by position."""
        last = position + heads.shape[1]
        cosines, sines = (table[position:last] for table in self._table(last, heads))
        qk, v = torch.split(heads, [self.n_heads + self.n_kv_heads, self.n_kv_heads], dim=2)
        q, k = torch.split(rotate(qk, (cosines, sines)), [self.n_heads, self.n_kv_heads], dim=2)
        return q, k, v

    def _table(self, length: int, heads: Tensor) -> Table:
        """Angles of at least `length` positions; kept here, for a compiled layer would make them anew in each step."""
        wide = torch.float64 if heads.dtype == torch.float64 else torch.float32
        kept = self._angles
        if kept is None or len(kept[0]) < length or kept[0].device != heads.device or kept[0].dtype != wide:
            longer = 1 << (length - 1).bit_length()  # one table serves many steps of decoding
            kept = rotary_table(longer, self.head_dim, self.theta, wide, heads.device, self.scaling)
            self._angles = kept
        return kept

    def _mix(self, q: Tensor, k: Tensor, v: Tensor, documents: Documents | None) -> Tensor:
        """Values [batch, length, n_heads, head_dim] mixed over a whole sequence."""
        length = q.shape[1]
        if self.window is None or length <= self.window:
            return attend(q, k, v, documents.mask() if documents else None)
        if length > 2 * self.window:
            return attend_in_blocks(q, k, v, self.window, documents)
        near = documents.mask(self.window) if documents else band(length, length, self.window, q.device)
        return attend(q, k, v, near)


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


def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    """Softmax attention [batch, length, heads, head_dim], causal where no mask says what is seen.

    Args:
        q: queries [batch, length, heads, head_dim].
        k: keys [batch, positions, key heads, head_dim]; each serves heads / key heads query heads.
        v: values, as the keys.
        mask: [length, positions] or [batch, 1, length, positions], True where a query sees a key.
    """
    grouped = q.shape[2] != k.shape[2]
    q, k, v = q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)
    mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=mask is None, enable_gqa=grouped)
    return mixed.transpose(1, 2)


def attend_in_blocks(q: Tensor, k: Tensor, v: Tensor, window: int, documents: Documents | None = None) -> Tensor:
    """Window attention of a sequence of more than one window; arguments and result as of `attend`.

    The sequence is cut into blocks of a window. Queries see keys of their own block and of the one before it alone;
    those of the first block have none before, which is causal attention.
    """
    batch, length = q.shape[:2]
    q, k, v = (_blocks(x, window) for x in (q, k, v))
    alone, later = documents.block_masks(window) if documents else (None, band(window, 2 * window, window, q.device))
    first = attend(q[:, 0], k[:, 0], v[:, 0], alone)
    k, v = (torch.cat((x[:, :-1], x[:, 1:]), dim=2).flatten(0, 1) for x in (k, v))
    others = attend(q[:, 1:].flatten(0, 1), k, v, later)
    return torch.cat((first, others.reshape(batch, -1, *others.shape[2:])), dim=1)[:, :length]


def _blocks(x: Tensor, window: int) -> Tensor:
    """[batch, blocks, window, heads, head_dim]; zeros, which no real query sees, fill the last block."""
    padded = F.pad(x, (0, 0, 0, 0, 0, -x.shape[1] % window))
    return padded.view(len(x), -1, window, *x.shape[2:])
