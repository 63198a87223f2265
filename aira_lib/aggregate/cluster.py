"""K-means on one number a design, solved exactly.

Composer clusters architectures on the scalar validation score (5 clusters; AIRA: 3) and keeps the top cluster. On a
line the optimum is a cut of the sorted values, found by dynamic programming: no seed, no start, no ties. The best
last cut never moves left when values are added on the right (the cost satisfies the quadrangle inequality), so each
level is solved by halving: the middle first, then both sides between their neighbours' cuts. That is O(k n log n);
all middles of one depth are solved at once. Up to float rounding it is the optimum.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


def kmeans_1d(values: Floats, n_clusters: int) -> Integers:
    """Cluster numbers so that the sum of squared distances to cluster means is least.

    Args:
        values: [n] finite numbers.
        n_clusters: at most this many clusters; fewer when there are fewer distinct values.

    Returns:
        [n] labels from 0 (lowest values) upwards.
    """
    return np.searchsorted(cluster_starts(values, n_clusters), values, side="right").astype(np.int64) - 1


def cluster_starts(values: Floats, n_clusters: int) -> Floats:
    """The lowest value of each cluster, ascending: of `n_clusters`, or of fewer when there are fewer distinct values.

    Args:
        values: [n] finite numbers, n >= 1.
        n_clusters: at least 1.
    """
    distinct, multiplicity = np.unique(values, return_counts=True)
    if len(distinct) <= n_clusters:
        return distinct
    return distinct[_cuts(_Sums(distinct, multiplicity), n_clusters)]


class _Sums:
    """Prefix sums of sorted values x with multiplicities w: from them the spread of any run.

    The spread (sum of squared distances to the mean) of first <= index < end is
    wxx[end] - wxx[first] - (wx[end] - wx[first])^2 / (w[end] - w[first]).
    """

    def __init__(self, x: Floats, multiplicity: Integers) -> None:
        self.n = len(x)
        weight = multiplicity.astype(np.float64)
        x = x - np.average(x, weights=weight)  # about the mean: differences of prefix sums lose fewer digits
        self.w, self.wx, self.wxx = (
            np.concatenate([[0.0], np.cumsum(v)]) for v in (weight, weight * x, weight * x * x)
        )


def _cuts(sums: _Sums, k: int) -> list[int]:
    """First index of each of k < n clusters."""
    n = sums.n
    best = np.full(n + 1, np.inf)  # best[e]: cost of the first e values in so many clusters as the level says
    best[0] = 0.0
    best[1:] = sums.wxx[1:] - sums.wx[1:] ** 2 / sums.w[1:]
    choices = []
    for level in range(1, k - 1):
        best, choice = _one_more(sums, best, level)
        choices.append(choice)
    cuts = []
    if k > 1:  # nothing follows the last cluster: of it only the end at n is wanted
        start, _ = _least(sums, best - sums.wxx, *(np.array([v]) for v in (n, k - 1, n - 1)))
        cuts.append(int(start[0]))
    for choice in reversed(choices):
        cuts.append(int(choice[cuts[-1]]))
    return [0, *cuts[::-1]]


def _one_more(sums: _Sums, best: Floats, level: int) -> tuple[Floats, Integers]:
    """From the best `level` clusters of every prefix, the best of one more, and where its last cluster starts."""
    n = sums.n
    head = best - sums.wxx
    following, choice = np.full(n + 1, np.inf), np.zeros(n + 1, dtype=np.int64)
    low, high = np.array([level + 1]), np.array([n])  # ends still to be solved
    left, right = np.array([level]), np.array([n - 1])  # where their starts lie
    while len(low):
        middle = (low + high) // 2
        choice[middle], following[middle] = _least(sums, head, middle, left, np.minimum(right, middle - 1))
        solved = choice[middle]
        before, after = low < middle, middle < high
        low, high, left, right = (
            np.concatenate([low[before], middle[after] + 1]),
            np.concatenate([middle[before] - 1, high[after]]),
            np.concatenate([left[before], solved[after]]),
            np.concatenate([solved[before], right[after]]),
        )
    return following, choice


def _least(sums: _Sums, head: Floats, ends: Integers, first: Integers, last: Integers) -> tuple[Integers, Floats]:
    """For every end, the start in first..last (inclusive) of least cost, the lowest of equals, and that cost.

    `head` is the part of the cost that depends on the start alone.
    """
    sizes = last - first + 1
    offsets = np.cumsum(sizes) - sizes
    starts = np.arange(sizes.sum()) + np.repeat(first - offsets, sizes)
    gain = np.repeat(sums.wx[ends], sizes)
    gain -= sums.wx[starts]
    gain *= gain
    mass = np.repeat(sums.w[ends], sizes)
    mass -= sums.w[starts]
    gain /= mass
    costs = head[starts]
    costs -= gain
    least = np.minimum.reduceat(costs, offsets)
    hits = np.flatnonzero(costs == np.repeat(least, sizes))
    chosen = hits[np.searchsorted(hits, offsets)]
    return starts[chosen], least + sums.wxx[ends]
