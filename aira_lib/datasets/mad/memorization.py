"""Memorization: learn a fixed map from keys to values that no sequence contains.

A row alternates a key drawn uniformly and the insert token; the target of the insert token is the key's value, the
rest is not scored, in training as in test. The map is fixed by `map_seed` (mad-lab's own: 12345), so training,
validation and test ask for the same map and differ only in the order of the keys: a row may occur in two splits
without giving anything away.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from aira_lib.datasets.mad.task import IGNORE, Examples, MADTask, SplitName, Tokens
from aira_lib.study import MADTaskName


@dataclass(frozen=True)
class Memorization(MADTask):
    """Memorization at mad-lab's baseline: a map of 127 keys, 16 a row.

    Attributes:
        map_seed: seed of the map; the seed of the instances does not change it.
    """

    name: ClassVar[MADTaskName] = "memorization"
    rows_may_repeat: ClassVar[bool] = True

    vocab_size: int = 256
    seq_len: int = 32
    map_seed: int = 12345

    def __post_init__(self) -> None:
        self._require(self.vocab_size >= 3, f"vocab_size {self.vocab_size} is too small: at least 3")
        self._require(
            self.seq_len >= 2 and self.seq_len % 2 == 0,
            f"seq_len {self.seq_len} must be even and at least 2 (a key and its answer)",
        )

    def values(self) -> Tokens:
        """The map: the value of each key [number of keys]; keys are the ids from 0."""
        rng = np.random.default_rng(self.map_seed)
        n_keys = (self.vocab_size - 1) // 2
        keys, values = np.arange(n_keys), np.arange(n_keys, self.vocab_size - 1)
        # Shuffling both, keys first, gives the very map of mad-lab.
        rng.shuffle(keys)
        rng.shuffle(values)
        value_of = np.empty(n_keys, np.int64)
        value_of[keys] = values[:n_keys]
        return value_of

    def draw(self, n: int, rng: np.random.Generator, split: SplitName) -> Examples:
        """Draw n instances."""
        value_of = self.values()
        keys = rng.integers(len(value_of), size=(n, self.seq_len // 2))
        inputs = np.full((n, self.seq_len), self.vocab_size - 1)
        targets = np.full((n, self.seq_len), IGNORE)
        inputs[:, 0::2] = keys
        targets[:, 1::2] = value_of[keys]
        return Examples(inputs, targets)
