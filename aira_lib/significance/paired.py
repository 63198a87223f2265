"""Two designs on the same items: what they share, such as hard items, cancels in the differences item by item."""

import numpy as np
from numpy.typing import ArrayLike

from aira_lib.significance.estimate import Estimate, Floats, mean_of_items


def paired(one: ArrayLike, other: ArrayLike) -> Estimate:
    """The mean of `one` less that of `other`, over items in the same order.

    Args:
        one: scores [items], of one training or averaged over seeds; see `seeds`.
        other: of the same items.

    Returns:
        With the error and p of the paired t test; of items that are right or wrong (1 or 0), p is McNemar's exact
        one, which does not need many items that differ.

    Raises:
        ValueError: not the same number of items, or none.
    """
    first, second = np.asarray(one, dtype=np.float64), np.asarray(other, dtype=np.float64)
    if first.shape != second.shape:
        raise ValueError(f"scores of {list(first.shape)} and {list(second.shape)} items cannot be paired")
    apart = first - second
    found = mean_of_items(apart)
    exact = mcnemar(apart) if _right_or_wrong(first) and _right_or_wrong(second) else None
    # Without any spread a difference says nothing of its error, unless nothing at all differs.
    unknown = found.stderr == 0 and found.value != 0
    return Estimate(found.value, None if unknown else found.stderr, found.degrees, exact)


def mcnemar(differences: Floats) -> float:
    """P of McNemar's exact test: of the items that differ (1 or -1), each goes either way with equal chance."""
    wins, losses = int((differences > 0).sum()), int((differences < 0).sum())
    if wins + losses == 0:
        return 1.0
    from scipy.special import bdtr  # the binomial distribution, summed from its low end

    return min(1.0, 2 * float(bdtr(min(wins, losses), wins + losses, 0.5)))


def _right_or_wrong(scores: Floats) -> bool:
    return bool(np.isin(scores, (0.0, 1.0)).all())
