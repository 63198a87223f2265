"""Decoding: the next tokens of sequences from what layers keep of those before, without going over them again."""

from typing import Any

import torch
from torch import Tensor

from aira_lib.models.language_model import LanguageModel

States = list[Any]
"""What the layers keep, first layer first: attention its keys and values (a window's worth where it has a window),
Mamba-2 a state of one size."""


def extend(model: LanguageModel, tokens: Tensor, states: States | None = None) -> tuple[Tensor, States]:
    """Logits [batch, new, vocab] of the next tokens [batch, new] of sequences, and the states behind them.

    They equal those of a forward pass over the whole, in whatever pieces it comes. Without states it begins.

    Raises:
        UserError: a layer cannot decode.
    """
    features, states = model.backbone.extend(tokens, states or [None] * len(model.backbone.layers))
    return model.head(features), states


def prefill(model: LanguageModel, tokens: Tensor) -> tuple[Tensor, States]:
    """Logits [batch, vocab] after prompts [batch, length], and the states; only the last position meets the head."""
    features, states = model.backbone.extend(tokens, [None] * len(model.backbone.layers))
    return model.head(features[:, -1]), states


def step(model: LanguageModel, tokens: Tensor, states: States) -> tuple[Tensor, States]:
    """Logits [batch, vocab] after one more token [batch] of each sequence, and the next states."""
    logits, states = extend(model, tokens.unsqueeze(1), states)
    return logits[:, 0], states


def states_of(states: Any, rows: Tensor) -> Any:
    """The states of some rows of a batch, each as often as it is named: of all tensors in them, whose first axis it is.

    Args:
        states: of all layers, or of one.
        rows: their numbers in the batch [chosen].
    """
    if isinstance(states, Tensor):
        return states[rows]
    if isinstance(states, tuple) and hasattr(states, "_fields"):
        return type(states)(*(states_of(each, rows) for each in states))
    if isinstance(states, list | tuple):
        return type(states)(states_of(each, rows) for each in states)
    return states


@torch.no_grad()
def generate(
    model: LanguageModel, tokens: Tensor, n: int, temperature: float = 1.0, top_k: int | None = None, seed: int = 0
) -> Tensor:
    """Continue prompts [batch, length] by n tokens [batch, n].

    Args:
        model: any whose layers decode.
        tokens: at least one a prompt.
        n: how many to add.
        temperature: what logits are divided by before one is drawn; 0 takes the likeliest.
        top_k: among how many of the likeliest is drawn; None: all.
        seed: of the draws.

    Raises:
        UserError: a layer cannot decode.
        ValueError: an empty prompt, a negative temperature, or a top_k below 1.
    """
    if not tokens.shape[1] or temperature < 0 or (top_k is not None and top_k < 1):
        raise ValueError(
            f"a prompt of {tokens.shape[1]} tokens, temperature {temperature}, top_k {top_k}: there must be a token, "
            "no temperature is negative, and one token at least is drawn from"
        )
    chance, drawn = torch.Generator(tokens.device).manual_seed(seed), [tokens[:, :0]]
    logits, states = prefill(model, tokens)
    for position in range(n):
        if position:
            logits, states = step(model, drawn[-1][:, 0], states)
        drawn.append(_draw(logits.float(), temperature, top_k, chance))
    return torch.cat(drawn, dim=1)


def _draw(logits: Tensor, temperature: float, top_k: int | None, chance: torch.Generator) -> Tensor:
    """One token [batch, 1] by logits [batch, vocab]."""
    if not temperature:
        return logits.argmax(-1, keepdim=True)
    if top_k is not None and top_k < logits.shape[-1]:
        least = logits.topk(top_k).values[:, -1:]
        logits = logits.masked_fill(logits < least, -torch.inf)
    return torch.multinomial((logits / temperature).softmax(-1), 1, generator=chance)
