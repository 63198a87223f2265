"""How much a vote depends on who happened to be a member: the bootstrap over members.

Each resample draws, in each data set, as many members as there are, with replacement, puts them in order of fitness
and gives weights by rank as the method does. What stays the same in nearly all resamples does not hang on a few
designs. Members were found by searches that build on their own finds, so they are less independent than this assumes.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from aira_lib.aggregate.electorate import Electorate
from aira_lib.aggregate.vote import Codes, Context, Weights, vote
from aira_lib.records import Resampling

_HELD = 1 << 23
"""Weights held at once; the numbers drawn do not depend on it."""


def resampled(
    codes: Codes, voters: Electorate, chosen: Mapping[Context, Codes], n: int, seed: int
) -> dict[Context, Resampling]:
    """Vote again `n` times, under each context with the same draws.

    Args:
        codes: [members, layers] of the electorate.
        voters: the electorate.
        chosen: by context (see `vote`) the pattern [layers] that the members themselves chose.
        n: number of resamples, at least 1.
        seed: of the draws.
    """
    random = np.random.default_rng(seed)
    step = max(1, _HELD // len(codes))
    same: dict[Context, list[NDArray[np.bool_]]] = {context: [] for context in chosen}
    for start in range(0, n, step):
        weights = _drawn(voters, min(step, n - start), random)
        for context, pattern in chosen.items():
            same[context].append(vote(codes, weights, context, pattern).chosen == pattern)
    return {context: _summary(np.concatenate(parts), seed) for context, parts in same.items()}


def _summary(same: NDArray[np.bool_], seed: int) -> Resampling:
    return Resampling(
        resamples=len(same),
        seed=seed,
        layers=tuple(same.mean(axis=0).tolist()),
        pattern=float(same.all(axis=1).mean()),
    )


def _drawn(voters: Electorate, n: int, random: np.random.Generator) -> Weights:
    """[n, members]: each member's weight in n resamples."""
    # Equal weights are whole numbers: float32 holds them exactly and is half the memory.
    equal = bool((voters.weights == voters.weights[0]).all())
    weights = np.zeros((n, len(voters.rows)), dtype=np.float32 if equal else np.float64)
    for row in weights:
        for places in voters.places:
            drawn = random.integers(0, len(places), size=len(places))
            counted = np.bincount(
                drawn if equal else np.sort(drawn),
                weights=None if equal else voters.weights[places],
                minlength=len(places),
            )
            # One data set has all places, in order: no need to go through their list.
            row[slice(None) if len(voters.places) == 1 else places] = counted
    return weights
