"""Compression: reconstruct a whole random sequence from what the model holds at its last position.

A row is `seq_len - 1` uniform tokens and the compression token; the targets are the whole row, the last token
included, in training as in test. The bottleneck is the model's: mad-lab's autoencoder keeps the encoder's last
position alone and decodes every token from it and the token's place.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from aira_lib.datasets.mad.task import Examples, MADTask, SplitName
from aira_lib.study import MADTaskName


@dataclass(frozen=True)
class Compression(MADTask):
    """Compression at mad-lab's baseline: 31 of 15 symbols."""

    name: ClassVar[MADTaskName] = "compression"

    seq_len: int = 32

    def __post_init__(self) -> None:
        self._require(self.vocab_size >= 2, f"vocab_size {self.vocab_size} is too small: at least 2")
        self._require(self.seq_len >= 2, f"seq_len {self.seq_len} is too short: at least 2")

    def draw(self, n: int, rng: np.random.Generator, split: SplitName) -> Examples:
        """Draw n instances."""
        inputs = rng.integers(self.vocab_size - 1, size=(n, self.seq_len))
        inputs[:, -1] = self.vocab_size - 1
        return Examples(inputs, inputs.copy())
