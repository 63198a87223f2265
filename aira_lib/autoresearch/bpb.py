"""Bits per byte, computed where no submission can reach it: from logits, the tokens that followed and their bytes.

A submission says logits alone. They are normalised here, so that no distribution sums to more than one, and counted
against bytes of the text, which no tokenizer of a submission can change.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Logits = NDArray[np.floating]
Floats = NDArray[np.float64]
_MOST_WIDENED = 2**18
"""Logits that are float64 at a time: 2 MB, which stay in a core's cache."""


@dataclass(frozen=True)
class BitsPerByte:
    """Bits per byte of text, its standard error over rows, and how many tokens and bytes were counted."""

    value: float
    standard_error: float
    tokens: int
    bytes: int


def nats_of(logits: Logits, tokens: NDArray[np.integer]) -> Floats:
    """What each token that followed costs, in nats: minus the logarithm of its softmax, in float64.

    Args:
        logits: [rows, T, vocabulary], of any floating dtype; some places at a time are widened.
        tokens: [rows, T].
    """
    flat, said = logits.reshape(-1, logits.shape[-1]), tokens.reshape(-1)
    step = max(1, _MOST_WIDENED // flat.shape[-1])
    parts = [_nats(flat[at : at + step], said[at : at + step]) for at in range(0, len(said), step)]
    return np.concatenate([np.empty(0), *parts]).reshape(tokens.shape)


def _nats(logits: Logits, tokens: NDArray[np.integer]) -> Floats:
    """Of logits [n, vocabulary] and tokens [n]: [n]."""
    wide = logits.astype(np.float64)
    wide -= wide.max(axis=-1, keepdims=True)
    said = wide[np.arange(len(tokens)), tokens]
    nats: Floats = np.log(np.exp(wide, out=wide).sum(axis=-1)) - said
    return nats


def bits_per_byte(nats: Floats, token_bytes: NDArray[np.integer]) -> BitsPerByte:
    """The score of rows of text.

    The standard error is that of a ratio of sums over rows (the delta method), rows taken as independent; that of a
    single row is infinite.

    Args:
        nats: [rows, T], from `nats_of`.
        token_bytes: [rows, T]: UTF-8 bytes of each token that followed; tokens without text, with 0, do not count.

    Raises:
        ValueError: no byte is counted.
    """
    counted = token_bytes > 0
    costs = np.where(counted, nats, 0.0).sum(axis=1) / math.log(2)
    sizes = token_bytes.sum(axis=1, dtype=np.int64)
    total = int(sizes.sum())
    if total <= 0:
        raise ValueError("no token that followed stands for text")
    value = float(costs.sum() / total)
    rows = len(costs)
    spread = float(np.square(costs - value * sizes).sum())
    error = math.sqrt(spread * rows / (rows - 1)) / total if rows > 1 else math.inf
    return BitsPerByte(value, error, int(counted.sum()), total)
