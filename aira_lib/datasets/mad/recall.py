"""In-context recall and noisy in-context recall: answer a key with the value it had earlier in the sequence.

A sequence is `seq_len / 2` slots of two tokens. Each slot holds a key drawn at random and the key's value, which is
drawn once a sequence; the last slot probes one of the distinct keys already shown, all equally likely. Keys are the
lower half of the vocabulary, values the upper half. In the noisy task the top `noise_vocab_size` ids are noise, and
every slot but the last becomes two noise tokens with probability `frac_noise`.

Answers are the values of keys that were shown before (mad-lab's `multi_query`, the form of its whole benchmark).

One departure from mad-lab: there the slot that is kept free of noise can be the last one, which is clean anyway, and
then a sequence of noise alone has nothing to probe and generation fails. Here it is always one of the others.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from aira_lib.datasets.mad.task import IGNORE, Examples, MADTask, SplitName, Tokens, first_occurrence, next_token
from aira_lib.study import MADTaskName


@dataclass(frozen=True)
class InContextRecall(MADTask):
    """In-context recall at mad-lab's baseline: 8 keys, 8 values, 64 slots."""

    name: ClassVar[MADTaskName] = "in-context-recall"

    def __post_init__(self) -> None:
        pairs = self.vocab_size - self._noise_ids
        need = f"{self._noise_ids + 2}" + (f" ({self._noise_ids} of them noise)" if self._noise_ids else "")
        self._require(pairs >= 2, f"vocab_size {self.vocab_size} is too small for a key and a value: at least {need}")
        self._require(
            self.seq_len >= 4 and self.seq_len % 2 == 0,
            f"seq_len {self.seq_len} must be even and at least 4 (key-value pairs)",
        )

    @property
    def length(self) -> int:
        """Length L of a row: one less than `seq_len`, for the shift to next-token targets."""
        return self.seq_len - 1

    @property
    def n_keys(self) -> int:
        """Number of keys: ids 0 to n_keys - 1."""
        return (self.vocab_size - self._noise_ids) // 2

    @property
    def _noise_ids(self) -> int:
        return 0

    def draw(self, n: int, rng: np.random.Generator, split: SplitName) -> Examples:
        """Draw n instances."""
        slots = self.seq_len // 2
        keys = rng.integers(self.n_keys, size=(n, slots))
        values = rng.integers(self.n_keys, self.vocab_size - self._noise_ids, size=(n, slots))
        noise = self._noise_slots(n, slots, rng)
        # Every noise slot counts as a key of its own, so that it never looks like one shown before.
        first = first_occurrence(np.where(noise, -1 - np.arange(slots), keys))
        self._probe(keys, first, noise, rng)
        values = np.take_along_axis(values, first, axis=1)
        tokens, answers = np.empty((n, 2 * slots), np.int64), np.full((n, 2 * slots), IGNORE)
        tokens[:, 0::2], tokens[:, 1::2] = keys, values
        answers[:, 1::2] = np.where(first != np.arange(slots), values, IGNORE)
        self._write_noise(tokens, noise, rng)
        return next_token(tokens, answers, split)

    def _probe(self, keys: Tokens, first: NDArray[np.intp], noise: NDArray[np.bool_], rng: np.random.Generator) -> None:
        """Put into the last slot one of the keys shown before it."""
        chance = rng.random((len(keys), keys.shape[1] - 1))
        new = (first[:, :-1] == np.arange(keys.shape[1] - 1)) & ~noise[:, :-1]
        probed = np.where(new, chance, -1.0).argmax(axis=1)
        keys[:, -1] = keys[np.arange(len(keys)), probed]
        first[:, -1] = probed

    def _noise_slots(self, n: int, slots: int, rng: np.random.Generator) -> NDArray[np.bool_]:
        return np.zeros((n, slots), dtype=bool)

    def _write_noise(self, tokens: Tokens, noise: NDArray[np.bool_], rng: np.random.Generator) -> None:
        return


@dataclass(frozen=True)
class NoisyInContextRecall(InContextRecall):
    """In-context recall among noise, at mad-lab's baseline: 8 keys, 8 values, 16 noise tokens, a fifth of the slots.

    Attributes:
        noise_vocab_size: ids of `vocab_size` that are noise.
        frac_noise: probability that a slot is noise.
    """

    name: ClassVar[MADTaskName] = "noisy-in-context-recall"

    vocab_size: int = 32
    noise_vocab_size: int = 16
    frac_noise: float = 0.2

    def __post_init__(self) -> None:
        self._require(self.noise_vocab_size >= 1, f"noise_vocab_size {self.noise_vocab_size} must be at least 1")
        self._require(0 <= self.frac_noise < 1, f"frac_noise {self.frac_noise} must be at least 0 and below 1")
        super().__post_init__()

    @property
    def _noise_ids(self) -> int:
        return self.noise_vocab_size

    def _noise_slots(self, n: int, slots: int, rng: np.random.Generator) -> NDArray[np.bool_]:
        noise = rng.random((n, slots)) < self.frac_noise
        noise[:, -1] = False
        noise[np.arange(n), rng.integers(slots - 1, size=n)] = False
        return noise

    def _write_noise(self, tokens: Tokens, noise: NDArray[np.bool_], rng: np.random.Generator) -> None:
        where = np.repeat(noise, 2, axis=1)
        low = self.vocab_size - self.noise_vocab_size
        tokens[where] = rng.integers(low, self.vocab_size, size=int(where.sum()))
