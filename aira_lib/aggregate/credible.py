"""Bayesian layer-wise vote: how sure the votes make us of each layer's share (not in the paper).

At every layer the primitives' shares among good designs are unknown; before any vote they are Dirichlet(prior, ...,
prior), and votes are multinomial draws. After counts n_p they are Dirichlet(prior + n_p): the winner's share is then
Beta distributed.

Votes of one search are not independent: an agent builds on its own finds, so that most of what it found is alike. What
is independent are searches. `independent_votes` says what the votes are worth, by how much the searches' own shares
differ; taken as independent, the votes of greedy searches would have intervals of 95 % that hold the truth in little
more than half of all archives. The truth is the share among what such searches find, not among all good designs.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_UNANIMOUS = 1e-9  # a share nearer to 0 or 1 than this is so by rounding


@dataclass(frozen=True)
class Posterior:
    """Mean shares [layers, primitives], and equal-tailed intervals of the winner's share [layers, 2]."""

    shares: Floats
    intervals: Floats


def independent_votes(
    ballots: NDArray[np.bool_], weights: Floats, searches: NDArray[np.intp], credibility: float
) -> Floats:
    """How many independent votes a share is worth that votes in clusters gave (Korn and Graubard 1998).

    A share p of n independent votes has variance p (1 - p) / n. Its variance is estimated from the searches, and by few
    of them poorly, for which n shrinks by the squared ratio of a normal's and Student's t quantiles. Votes of one
    search may be all alike or independent: n is at least the number of searches and at most that of votes, each counted
    by weight, (sum w)^2 / sum w^2 (Kish).

    Args:
        ballots: [members, layers]: who voted for the share in question.
        weights: [members], they sum to 1.
        searches: [members], equal numbers for members of one search.
        credibility: of the intervals to be made.

    Returns:
        [layers]
    """
    from scipy.special import ndtri, stdtrit

    _, of = np.unique(searches, return_inverse=True)
    by_search = np.bincount(of, weights)
    least, most = 1 / (by_search**2).sum(), 1 / (weights**2).sum()
    share = weights @ ballots
    surplus = np.stack([np.bincount(of, weights * column) for column in (ballots - share).T])
    variance = (surplus**2).sum(axis=1) * len(by_search) / max(len(by_search) - 1, 1)
    spread, tail = share * (1 - share), (1 + credibility) / 2
    if len(by_search) == 1:  # nothing tells how much searches differ
        return np.full(len(spread), least)
    shrink = (ndtri(tail) / stdtrit(len(by_search) - 1, tail)) ** 2
    # Where all agree the searches agree as well, which says nothing of what their votes are worth.
    votes = np.where(spread > _UNANIMOUS, shrink * spread / np.maximum(variance, _UNANIMOUS**2), 0.0)
    return np.clip(votes, least, most)


def posterior(shares: Floats, chosen: NDArray[np.uint8], votes: Floats, prior: float, credibility: float) -> Posterior:
    """The shares after the votes.

    Args:
        shares: [layers, primitives] of the votes; the primitives of the search, winners among them.
        chosen: [layers], the winners' places.
        votes: [layers], how many independent votes were cast.
        prior: concentration of each primitive before the votes; 1 makes all shares equally likely.
        credibility: probability of each interval.
    """
    alpha = prior + votes[:, None] * shares
    total = alpha.sum(axis=1)
    winner = np.take_along_axis(alpha, chosen[:, None].astype(np.intp), axis=1)[:, 0]
    tail = (1 - credibility) / 2
    ends = [beta_quantile(q, winner, total - winner) for q in (tail, 1 - tail)]
    return Posterior(alpha / total[:, None], np.stack(ends, axis=1))


def beta_quantile(q: float, a: Floats, b: Floats) -> Floats:
    """Where the Beta(a, b) distribution function is q, elementwise; 1 where b is 0, a share without rivals."""
    from scipy.special import betaincinv  # late: only this vote needs it

    return np.where(b > 0, betaincinv(a, np.where(b > 0, b, 1.0), q), 1.0)
