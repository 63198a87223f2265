"""Bayesian layer-wise vote: how sure the votes make us of each layer's share (not in the paper).

At every layer the primitives' shares among good designs are unknown; before any vote they are Dirichlet(prior, ...,
prior), and votes are multinomial draws. After counts n_p they are Dirichlet(prior + n_p): the winner's share is then
Beta distributed. Unequal weights count as so many equal votes as carry the same information. Votes are taken as
independent; searches build on their own finds, so true intervals are wider.
"""

from dataclasses import dataclass

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
    ends = [beta_quantile(q, winner, total - winner) for q in (tail, 1 - tail)]
    return Posterior(alpha / total[:, None], np.stack(ends, axis=1))


def beta_quantile(q: float, a: Floats, b: Floats) -> Floats:
    """Where the Beta(a, b) distribution function is q, elementwise; 1 where b is 0, a share without rivals."""
    from scipy.special import betaincinv  # late: only this vote needs it

    return np.where(b > 0, betaincinv(a, np.where(b > 0, b, 1.0), q), 1.0)
