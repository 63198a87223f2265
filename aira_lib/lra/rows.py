"""Rows to train on, and the order in which they come: a stream of permutations, the same everywhere for a seed."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from aira_lib.lra.data.tokens import Ids


@dataclass(frozen=True)
class Examples:
    """Rows with labels.

    Attributes:
        inputs: ids, int32 [n, L]: one array, or two for pairs.
        labels: classes, int32 [n].
    """

    inputs: Sequence[Ids]
    labels: Ids

    def __len__(self) -> int:
        return len(self.labels)

    def joined(self, other: "Examples") -> "Examples":
        """These rows and then the others, as the final training has them: train and validation."""
        inputs = [np.concatenate(pair) for pair in zip(self.inputs, other.inputs, strict=True)]
        return Examples(inputs, np.concatenate([self.labels, other.labels]))


def rows_of_step(count: int, batch: int, seed: int, step: int) -> npt.NDArray[np.int64]:
    """Which of `count` rows the step (from 0) reads, [batch].

    Every permutation is read to its end before the next begins, so no row is left out and none comes twice in a round.
    """
    places = step * batch + np.arange(batch)
    rounds, within = places // count, places % count
    found = np.empty(batch, np.int64)
    for each in np.unique(rounds):
        found[rounds == each] = _permutation(count, seed, int(each))[within[rounds == each]]
    return found


@lru_cache(maxsize=2)
def _permutation(count: int, seed: int, number: int) -> npt.NDArray[np.int64]:
    return np.random.default_rng((seed, number)).permutation(count)
