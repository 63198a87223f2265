"""Weights of a Llama-format checkpoint and of our model, tensor by tensor.

A decoder layer of theirs is two of ours, A and M. Two things differ. Our projections are fused: q, k and v, gate and
up. And rotary embeddings turn pairs of channels: neighbours (2j, 2j + 1) here, as in Meta's release, (j, j + head_dim /
2) in transformers; rows of q and k are put in another order, which changes no product of a query with a key.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from aira_lib.architecture.scales import Scale

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Source:
    """A tensor of theirs: its shape, and the heads whose channels are reordered (0: none)."""

    shape: Shape
    heads: int = 0


Sources = dict[str, dict[str, Source]]
"""Of each tensor of ours, by its name in `LanguageModel.state_dict`, what it is put together from, row above row."""


def llama_sources(scale: Scale, n_blocks: int) -> Sources:
    """All tensors of a model of (A-M) `n_blocks` times; a tied head is the embedding."""
    d, head = scale.d_model, "model.embed_tokens.weight" if scale.tie_embeddings else "lm_head.weight"
    embedding = Source((scale.vocab_size, d))
    sources: Sources = {"backbone.embedding.weight": {"model.embed_tokens.weight": embedding}}
    for block in range(n_blocks):
        sources |= _block(scale, f"model.layers.{block}.", f"backbone.layers.{2 * block}.", 2 * block + 1)
    return {**sources, "backbone.norm.weight": {"model.norm.weight": Source((d,))}, "head.weight": {head: embedding}}


def _block(scale: Scale, theirs: str, ours: str, mlp: int) -> Sources:
    d, norm, of_mlp = scale.d_model, Source((scale.d_model,)), f"backbone.layers.{mlp}."
    attention, feed = f"{theirs}self_attn.", f"{theirs}mlp."
    return {
        f"{ours}norm.weight": {f"{theirs}input_layernorm.weight": norm},
        f"{ours}mixer.qkv.weight": {
            f"{attention}q_proj.weight": Source((scale.q_dim, d), scale.n_heads),
            f"{attention}k_proj.weight": Source((scale.kv_dim, d), scale.n_kv_heads),
            f"{attention}v_proj.weight": Source((scale.kv_dim, d)),
        },
        f"{ours}mixer.out.weight": {f"{attention}o_proj.weight": Source((d, scale.q_dim))},
        f"{of_mlp}norm.weight": {f"{theirs}post_attention_layernorm.weight": norm},
        f"{of_mlp}mixer.gate_up.weight": {
            f"{feed}gate_proj.weight": Source((scale.d_ff, d)),
            f"{feed}up_proj.weight": Source((scale.d_ff, d)),
        },
        f"{of_mlp}mixer.out.weight": {f"{feed}down_proj.weight": Source((d, scale.d_ff))},
    }


def from_llama(sources: Sources, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state of our model from their tensors, in their types; what is one tensor of theirs is one of ours."""
    made: dict[str, Tensor] = {}
    kept: dict[str, Tensor] = {}
    for name, parts in sources.items():
        if len(parts) > 1:
            made[name] = torch.cat([neighbours(tensors[part], source.heads) for part, source in parts.items()])
        else:  # a tied head is the embedding itself
            (part,) = parts
            made[name] = kept.setdefault(part, tensors[part])
    return made


def neighbours(rows: Tensor, heads: int) -> Tensor:
    """Rows of a projection [heads head_dim, d], turned in pairs (j, j + head_dim / 2), in the order of our pairs."""
    return _reordered(rows, (heads, 2)) if heads else rows


def halves(rows: Tensor, heads: int) -> Tensor:
    """The inverse of `neighbours`."""
    return _reordered(rows, (heads, len(rows) // heads // 2)) if heads else rows


def _reordered(rows: Tensor, split: tuple[int, int]) -> Tensor:
    """Rows by (head, one, other), of which `split` counts the first two, in the order (head, other, one)."""
    head, one = split
    return rows.reshape(head, one, -1, rows.shape[1]).transpose(1, 2).reshape(rows.shape)
