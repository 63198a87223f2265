"""What of sequences of tokens is scored, by what."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from aira_lib.device import Precision
from aira_lib.models.language_model import LanguageModel


class Window(NamedTuple):
    """What a model reads, and the tokens that it is to predict at the last of these positions; at least one."""

    inputs: Sequence[int]
    targets: Sequence[int]


@dataclass(frozen=True)
class Computer:
    """A model, where and how it computes.

    Attributes:
        model: on its device.
        device: see above.
        precision: of matrix products.
        batch_tokens: most tokens of a forward pass, padding included; a longer sequence has one of its own.
    """

    model: LanguageModel
    device: torch.device
    precision: Precision
    batch_tokens: int


def windows_of(sequence: Sequence[int], first: int, most: int, stride: int) -> list[Window]:
    """Windows in which each token of a sequence from place `first` (at least 1) on is predicted once.

    Args:
        sequence: tokens.
        first: see above.
        most: tokens that a window reads at most; it reaches as far back as that allows.
        stride: tokens that a window predicts at most, no more than it reads.
    """
    ends = [min(begin + stride, len(sequence)) for begin in range(first, len(sequence), stride)]
    begins = [first, *ends[:-1]]
    return [
        Window(sequence[max(0, end - 1 - most) : end - 1], sequence[begin:end])
        for begin, end in zip(begins, ends, strict=True)
    ]


def runs(starts: Sequence[int], counts: Sequence[int]) -> NDArray[np.int64]:
    """As many numbers as it counts from each start on, one run after the other."""
    before = np.cumsum([0, *counts[:-1]])
    return np.asarray(np.repeat(np.array(starts) - before, counts) + np.arange(sum(counts)), np.int64)
