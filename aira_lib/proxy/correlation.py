"""Rank correlations with bootstrap intervals over designs: Spearman's rho and Kendall's tau-b, ties included.

The intervals resample by weights, thousands of resamples in one matrix product; scipy's functions take no weights.
"""

import math

import numpy as np
from numpy.typing import NDArray

from aira_lib.records import Estimate, Row

Values = NDArray[np.float64]
_HELD = 1 << 22
"""Weights held at once."""

FEWEST = 10
"""Designs that an interval needs: of fewer a bootstrap has too few different resamples, and covers 68 to 85 %."""


class RankCorrelation(Row):
    """How alike two rankings are, from -1 to 1; None where one of them has no two different values.

    With fewer than `FEWEST` designs the intervals are all that is possible, -1 to 1.
    """

    n: int
    spearman: Estimate | None
    kendall: Estimate | None


def rank_correlation(x: Values, y: Values, resamples: int = 2000, seed: int = 0) -> RankCorrelation:
    """Correlate two rankings of the same designs.

    Args:
        x: [designs].
        y: [designs], in the same order.
        resamples: of the designs with replacement, for percentile intervals.
        seed: of the draws.

    Raises:
        ValueError: lengths differ, or a value is no finite number.
    """
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    if x.shape != y.shape or x.ndim != 1 or not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise ValueError(f"two rows of as many finite numbers are needed, got shapes {x.shape} and {y.shape}")
    n, random = len(x), np.random.default_rng(seed)
    drawn: list[tuple[Values, Values]] = []
    step = max(1, _HELD // max(n, 1))
    for start in range(0, resamples if n > 1 else 0, step):
        weights = random.multinomial(n, np.full(n, 1 / n), size=min(step, resamples - start)).astype(np.float64)
        drawn.append((_spearman(x, y, weights), _kendall(x, y, weights)))
    once = np.ones((1, n))
    return RankCorrelation(
        n=n,
        spearman=_estimate(_spearman(x, y, once), [rho for rho, _ in drawn], n),
        kendall=_estimate(_kendall(x, y, once), [tau for _, tau in drawn], n),
    )


def _spearman(x: Values, y: Values, weights: Values) -> Values:
    """Rho of each row of weights [rows, designs], the number of times each design counts; NaN where undefined."""
    a, b = (_centred_ranks(values, weights) for values in (x, y))
    return _ratio((weights * a * b).sum(1), (weights * a * a).sum(1) * (weights * b * b).sum(1))


def _centred_ranks(values: Values, weights: Values) -> Values:
    """Average ranks among weighted values, less their mean: half of how many are below, less how many are above."""
    return weights @ np.sign(values[None, :] - values[:, None]) / 2


def average_ranks(values: Values) -> Values:
    """Ranks [designs], 1 for the largest value; equal values share the mean of theirs."""
    from scipy.stats import rankdata  # takes a second

    return np.asarray(rankdata(-values), np.float64)


def _kendall(x: Values, y: Values, weights: Values) -> Values:
    """Tau-b of each row of weights, see `_spearman`."""
    a, b = (np.sign(values[None, :] - values[:, None]) for values in (x, y))

    def pairs(of: Values) -> Values:
        return ((weights @ of) * weights).sum(1)  # type: ignore[no-any-return]

    return _ratio(pairs(a * b), pairs(np.abs(a)) * pairs(np.abs(b)))


def _ratio(joint: Values, squares: Values) -> Values:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(squares > 0, joint / np.sqrt(squares), np.nan)


def _estimate(value: Values, drawn: list[Values], n: int) -> Estimate | None:
    if len(value) != 1 or math.isnan(value[0]) or not drawn:
        return None
    if n < FEWEST:
        return Estimate(value=float(value[0]), low=-1.0, high=1.0)
    whole = np.concatenate(drawn)
    low, high = np.quantile(whole[~np.isnan(whole)], [0.025, 0.975])
    return Estimate(value=float(value[0]), low=float(low), high=float(high))
