"""The rows of a step: a stream of permutations, the same everywhere for a seed."""

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from aira_lib.lra.data.examples import LraSplit


def joined(first: LraSplit, second: LraSplit) -> LraSplit:
    """The rows of one and then those of the other, as the final training has them: train and validation."""
    inputs = tuple(np.concatenate(pair) for pair in zip(first.inputs, second.inputs, strict=True))
    return LraSplit(inputs, np.concatenate([first.labels, second.labels]))


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
