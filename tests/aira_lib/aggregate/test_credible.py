"""The Bayesian vote against its textbook cases."""

import numpy as np
import pytest
from scipy import stats

from aira_lib.aggregate.credible import beta_quantile, posterior

A = 10 ** np.random.default_rng(3).uniform(-0.5, 5.8, 200)


@pytest.mark.parametrize("q", [0.005, 0.5, 0.975])
def test_quantiles_of_beta_in_closed_form(q: float) -> None:
    one = np.ones_like(A)
    assert beta_quantile(q, A, one) == pytest.approx(q ** (1 / A), rel=1e-9)
    assert beta_quantile(q, one, A) == pytest.approx(-np.expm1(np.log1p(-q) / A), rel=1e-9)
    assert beta_quantile(q, A, 0 * A).tolist() == [1.0] * len(A)


def test_posterior_is_that_of_counted_votes() -> None:
    shares, chosen = np.array([[0.75, 0.25], [0.5, 0.5]]), np.array([0, 1], dtype=np.uint8)
    after = posterior(shares, chosen, votes=8, prior=1.0, credibility=0.9)
    assert after.shares[0].tolist() == pytest.approx([0.7, 0.3])  # (6 + 1) / (8 + 2)
    assert after.intervals[0].tolist() == pytest.approx(stats.beta.interval(0.9, 7, 3))
    assert after.intervals[1].tolist() == pytest.approx(stats.beta.interval(0.9, 5, 5))


def test_more_votes_narrow_the_interval_and_a_prior_pulls_to_the_middle() -> None:
    shares, chosen = np.array([[0.8, 0.2]]), np.array([0], dtype=np.uint8)
    widths = [np.ptp(posterior(shares, chosen, votes, 1.0, 0.95).intervals) for votes in (5, 50, 5000)]
    assert widths[0] > widths[1] > widths[2]
    means = [posterior(shares, chosen, 10, prior, 0.95).shares[0, 0] for prior in (0.5, 1, 20)]
    assert 0.8 > means[0] > means[1] > means[2] > 0.5


def test_a_primitive_without_rivals_has_all() -> None:
    after = posterior(np.ones((1, 1)), np.array([0], dtype=np.uint8), 4, 1.0, 0.95)
    assert after.shares.tolist() == [[1.0]]
    assert after.intervals.tolist() == [[1.0, 1.0]]
