"""K-means on one number a design, solved exactly.

Composer clusters architectures on the scalar validation score (5 clusters; AIRA: 3) and keeps the top cluster. On a
line the optimum is a cut of the sorted values, found here by dynamic programming: no seed, no start, no ties.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def kmeans_1d(values: Floats, n_clusters: int) -> NDArray[np.int64]:
    """Cluster numbers so that the sum of squared distances to cluster means is least.

    Args:
        values: [n] finite numbers.
        n_clusters: at most this many clusters; fewer when there are fewer distinct values.

    Returns:
        [n] labels from 0 (lowest values) upwards.
    """
    distinct, inverse, weights = np.unique(values, return_inverse=True, return_counts=True)
    starts = _cuts(distinct, weights.astype(np.float64), min(n_clusters, len(distinct)))
    labels = np.searchsorted(np.asarray(starts), np.arange(len(distinct)), side="right") - 1
    return labels[inverse].astype(np.int64)


def _cuts(x: Floats, weight: Floats, k: int) -> list[int]:
    """First index of each of k clusters of sorted distinct values x with multiplicities."""
    w, wx, wxx = (np.concatenate([[0.0], np.cumsum(v)]) for v in (weight, weight * x, weight * x * x))
    n = len(x)

    def spread(end: int, starts: NDArray[np.int64]) -> Floats:
        mass, total = w[end] - w[starts], wx[end] - wx[starts]
        return np.asarray(wxx[end] - wxx[starts] - total * total / mass)

    best = np.array([0.0] + [float(spread(end, np.array([0]))[0]) for end in range(1, n + 1)])
    choice = np.zeros((k, n + 1), dtype=np.int64)
    for level in range(1, k):
        following = np.full(n + 1, np.inf)
        for end in range(level + 1, n + 1):
            starts = np.arange(level, end)
            costs = best[starts] + spread(end, starts)
            pick = int(np.argmin(costs))
            following[end], choice[level, end] = costs[pick], starts[pick]
        best = following
    cuts, end = [], n
    for level in range(k - 1, -1, -1):
        end = int(choice[level, end])
        cuts.append(end)
    return cuts[::-1]
