"""Bayesian layer-wise vote: how sure the votes make us of each layer's share (not in the paper).

At every layer the primitives' shares among good designs are unknown; before any vote they are Dirichlet(prior, ...,
prior), and votes are multinomial draws. After counts n_p they are Dirichlet(prior + n_p): the winner's share is then
Beta distributed. Unequal weights count as so many equal votes as carry the same information. Votes are taken as
independent; searches build on their own finds, so true intervals are wider.
"""

from dataclasses import dataclass
from math import lgamma

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Posterior:
    """Mean shares [layers, primitives], and equal-tailed intervals of the winner's share [layers, 2]."""

    shares: Floats
    intervals: Floats


def posterior(shares: Floats, chosen: NDArray[np.uint8], votes: float, prior: float, credibility: float) -> Posterior:
    """The shares after the votes.

    Args:
        shares: [layers, primitives] of the votes; the primitives of the search, winners among them.
        chosen: [layers], the winners' places.
        votes: how many equal votes were cast at each layer.
        prior: concentration of each primitive before the votes; 1 makes all shares equally likely.
        credibility: probability of each interval.
    """
    alpha = prior + votes * shares
    total = alpha.sum(axis=1)
    winner = np.take_along_axis(alpha, chosen[:, None].astype(np.intp), axis=1)[:, 0]
    tail = (1 - credibility) / 2
    ends = [beta_quantile(np.full(len(winner), q), winner, total - winner) for q in (tail, 1 - tail)]
    return Posterior(alpha / total[:, None], np.stack(ends, axis=1))


def beta_quantile(q: Floats, a: Floats, b: Floats) -> Floats:
    """Where the Beta(a, b) distribution function is q; 1 where b is 0, a share without rivals.

    Newton steps within a bracket that halves whenever a step would leave it.
    """
    fixed = b <= 0
    b = np.where(fixed, 1.0, b)
    low, high, x = np.zeros_like(a), np.ones_like(a), a / (a + b)
    norm = np.array([_log_beta(*pair) for pair in zip(a.tolist(), b.tolist(), strict=True)])
    for _ in range(200):
        over = beta_cdf(x, a, b) - q
        low, high = np.where(over < 0, x, low), np.where(over < 0, high, x)
        with np.errstate(all="ignore"):
            step = x - over / np.exp((a - 1) * np.log(x) + (b - 1) * np.log1p(-x) - norm)
        inside = (step > low) & (step < high)
        moved = np.where(inside, step, (low + high) / 2)
        if (np.abs(moved - x) <= 1e-13 * x).all():
            break
        x = moved
    return np.asarray(np.where(fixed, 1.0, x))


def beta_cdf(x: Floats, a: Floats, b: Floats) -> Floats:
    """The regularised incomplete beta function I_x(a, b), for 0 < x < 1, elementwise.

    By its continued fraction (DLMF 8.17.22), which converges fast on the side of the mean where it is used; on the
    other side I_x(a, b) = 1 - I_{1-x}(b, a).
    """
    mirrored = x > (a + 1) / (a + b + 2)
    x, a, b = np.where(mirrored, 1 - x, x), np.where(mirrored, b, a), np.where(mirrored, a, b)
    norm = np.array([_log_beta(*pair) for pair in zip(a.tolist(), b.tolist(), strict=True)])
    with np.errstate(divide="ignore"):
        front = np.exp(a * np.log(x) + b * np.log1p(-x) - norm) / a
    value = front * _fraction(x, a, b)
    return np.asarray(np.where(mirrored, 1 - value, value))


def _fraction(x: Floats, a: Floats, b: Floats) -> Floats:
    """1 / (1 + d1 / (1 + d2 / (1 + ...))), evaluated from the front (modified Lentz)."""
    tiny = 1e-300
    value, c, d = np.ones_like(x), np.ones_like(x), np.zeros_like(x)
    # The number of terms that matter grows as the root of a + b.
    for term in range(1, 200 + int(10 * np.sqrt(np.max(a + b)))):
        m = term // 2
        odd = -(a + m) * (a + b + m) / ((a + 2 * m) * (a + 2 * m + 1))
        coefficient = x * (odd if term % 2 else m * (b - m) / ((a + 2 * m - 1) * (a + 2 * m)))
        d = 1 + coefficient * d
        d = 1 / np.where(np.abs(d) < tiny, tiny, d)
        c = 1 + coefficient / c
        c = np.where(np.abs(c) < tiny, tiny, c)
        value = value * c * d
        if (np.abs(c * d - 1) < 1e-15).all():
            break
    return np.asarray(1 / value)


def _log_beta(a: float, b: float) -> float:
    return lgamma(a) + lgamma(b) - lgamma(a + b)
