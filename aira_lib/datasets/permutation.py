"""A keyed permutation of the integers below `n`, of which any value can be asked for without making the others.

A Feistel network over pairs (a, b) of residues, whose halves need not be of one size (Black and Rogaway, "Ciphers with
arbitrary finite domains", 2002): the pairs are at most about the root of `n` more than there are integers, and a value
that falls outside is permuted on until it falls inside ("cycle walking"). So an order of a billion windows takes no
memory, and a run goes on in the midst of it.
"""

from math import isqrt

import numpy as np
from numpy.typing import NDArray

ROUNDS = 8
_MIXES = tuple(map(np.uint64, (0xBF58476D1CE4E5B9, 0x94D049BB133111EB)))


class Permutation:
    """A bijection of the integers 0 to n - 1, drawn by a key; other keys of its length give unrelated ones."""

    def __init__(self, n: int, *key: int) -> None:
        """Draw it.

        Args:
            n: how many integers, from 1 to 2**62.
            key: integers of at least 0, such as a seed and an epoch.

        Raises:
            ValueError: `n` is out of its bounds.
        """
        if not 1 <= n <= 1 << 62:
            raise ValueError(f"a permutation of {n} integers")
        self.n = n
        self._left = isqrt(n - 1) + 1
        self._right = -(-n // self._left)
        self._keys = np.random.SeedSequence(key).generate_state(ROUNDS, np.uint64)

    def __call__(self, places: NDArray[np.int64]) -> NDArray[np.int64]:
        """Where the given places [any shape], each from 0 to n - 1, go: int64 of the same shape."""
        found = self._pass(np.asarray(places, dtype=np.uint64))
        while (outside := found >= self.n).any():
            found[outside] = self._pass(found[outside])
        return found.astype(np.int64)

    def _pass(self, values: NDArray[np.uint64]) -> NDArray[np.uint64]:
        """One permutation of the pairs, each written as left * size of the right + right."""
        left, right = np.divmod(values, np.uint64(self._right))
        for number, key in enumerate(self._keys):
            if number % 2:
                right = (right + _mixed(left, key)) % np.uint64(self._right)
            else:
                left = (left + _mixed(right, key)) % np.uint64(self._left)
        return np.asarray(left * np.uint64(self._right) + right)


def _mixed(values: NDArray[np.uint64], key: np.uint64) -> NDArray[np.uint64]:
    """The finaliser of SplitMix64 over values and a key; shifted, so that a half can be added without overflow."""
    mixed = values + key
    for shift, factor in zip((30, 27), _MIXES, strict=True):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * factor
    return np.asarray((mixed ^ (mixed >> np.uint64(31))) >> np.uint64(1))
