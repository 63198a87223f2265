"""The Bayesian vote against its textbook cases, and how often its intervals hold the truth."""

import numpy as np
import pytest
from scipy import stats

from aira_lib.aggregate.cluster import cluster_starts
from aira_lib.aggregate.credible import beta_quantile, independent_votes, posterior

A = 10 ** np.random.default_rng(3).uniform(-0.5, 5.8, 200)


@pytest.mark.parametrize("q", [0.005, 0.5, 0.975])
def test_quantiles_of_beta_in_closed_form(q: float) -> None:
    one = np.ones_like(A)
    assert beta_quantile(q, A, one) == pytest.approx(q ** (1 / A), rel=1e-9)
    assert beta_quantile(q, one, A) == pytest.approx(-np.expm1(np.log1p(-q) / A), rel=1e-9)
    assert beta_quantile(q, A, 0 * A).tolist() == [1.0] * len(A)


def test_posterior_is_that_of_counted_votes() -> None:
    shares, chosen = np.array([[0.75, 0.25], [0.5, 0.5]]), np.array([0, 1], dtype=np.uint8)
    after = posterior(shares, chosen, votes=np.array([8.0, 8.0]), prior=1.0, credibility=0.9)
    assert after.shares[0].tolist() == pytest.approx([0.7, 0.3])  # (6 + 1) / (8 + 2)
    assert after.intervals[0].tolist() == pytest.approx(stats.beta.interval(0.9, 7, 3))
    assert after.intervals[1].tolist() == pytest.approx(stats.beta.interval(0.9, 5, 5))


def test_more_votes_narrow_the_interval_and_a_prior_pulls_to_the_middle() -> None:
    shares, chosen = np.array([[0.8, 0.2]]), np.array([0], dtype=np.uint8)
    widths = [np.ptp(posterior(shares, chosen, np.array([votes]), 1.0, 0.95).intervals) for votes in (5, 50, 5000)]
    assert widths[0] > widths[1] > widths[2]
    means = [posterior(shares, chosen, np.array([10.0]), prior, 0.95).shares[0, 0] for prior in (0.5, 1, 20)]
    assert 0.8 > means[0] > means[1] > means[2] > 0.5


def test_a_primitive_without_rivals_has_all() -> None:
    after = posterior(np.ones((1, 1)), np.array([0], dtype=np.uint8), np.array([4.0]), 1.0, 0.95)
    assert after.shares.tolist() == [[1.0]]
    assert after.intervals.tolist() == [[1.0, 1.0]]


def test_votes_of_one_search_are_worth_between_one_and_all() -> None:
    half = np.array([[True], [False]] * 10)
    weights, each = np.full(20, 1 / 20), np.arange(20)
    # Searches that agree within and differ between: a vote each. The one with half of the weight counts for more.
    together = np.repeat([True, False], 10)[:, None]
    assert independent_votes(together, weights, np.repeat([0, 1], 10), 0.95) == pytest.approx([2])
    assert independent_votes(together, weights, np.repeat([0, 1, 2], [10, 5, 5]), 0.95) == pytest.approx([8 / 3])
    # Searches whose votes are spread as in all: no fewer than all. One search says nothing of the spread: one vote.
    assert independent_votes(half, weights, np.arange(20) // 2, 0.95) == pytest.approx([20])
    assert independent_votes(half, weights, np.zeros(20, int), 0.95) == pytest.approx([1])
    # Searches that all agree: at least a vote each.
    assert independent_votes(half | True, weights, np.arange(20) // 5, 0.95) == pytest.approx([4])
    # Unequal weights are worth fewer votes (Kish).
    unequal = np.arange(1, 21) / 210
    assert independent_votes(half, unequal, each, 0.95)[0] <= 1 / np.square(unequal).sum() + 1e-9


def test_votes_in_clusters_are_worth_what_surveys_say() -> None:
    """The linearised variance of a share, 400 votes in 40 clusters, against that of resampled clusters."""
    random = np.random.default_rng(0)
    ballots = np.concatenate([random.random((10, 1)) < p for p in random.beta(2, 2, 40)])
    clusters, weights = np.repeat(np.arange(40), 10), np.full(400, 1 / 400)
    (votes,) = independent_votes(ballots, weights, clusters, 0.95)
    share, means = ballots.mean(), ballots.reshape(40, 10).mean(axis=1)
    resampled = np.array([random.choice(means, 40).mean() for _ in range(4000)])
    expected = share * (1 - share) / resampled.var() * (1.96 / stats.t.ppf(0.975, 39)) ** 2
    assert votes == pytest.approx(expected, rel=0.1)
    assert 40 < votes < 200


LAYERS, STEPS = 16, 50


def _greedy(single: np.ndarray, pairs: np.ndarray, random: np.random.Generator) -> list[tuple[tuple[bool, ...], float]]:
    """A search that begins with five random designs and then changes one or two layers of its best."""
    found: list[tuple[tuple[bool, ...], float]] = []
    for step in range(STEPS):
        design = random.random(LAYERS) < 0.5
        if step >= 5:
            design = np.array(max(found, key=lambda each: each[1])[0])
            design[random.choice(LAYERS, random.integers(1, 3), replace=False)] ^= True
        spin = design * 2.0 - 1
        fitness = float(spin @ single + spin @ pairs @ spin / LAYERS) + random.normal(0, 0.15)
        found.append((tuple(design.tolist()), fitness))
    return found


def _top_votes(single: np.ndarray, pairs: np.ndarray, searches: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Ballots [members, layers] of the top cluster of an archive, and who found each design first."""
    random = np.random.default_rng(seed)
    archive: dict[tuple[bool, ...], tuple[float, int]] = {}
    for search in range(searches):
        for design, fitness in _greedy(single, pairs, random):
            archive.setdefault(design, (fitness, search))
    fitness, search = (np.array(column) for column in zip(*archive.values(), strict=True))
    top = fitness >= cluster_starts(fitness, 3)[-1]
    return np.array(list(archive))[top], search[top]


@pytest.mark.parametrize("searches", [2, 3, 6])
def test_intervals_of_greedy_searches_cover(searches: int) -> None:
    """The truth is the mean share over archives of such searches; as independent votes, intervals miss it often."""
    random = np.random.default_rng(0)
    single, pairs = random.normal(0, 0.25, LAYERS), random.normal(0, 0.35, (LAYERS, LAYERS))
    archives = [_top_votes(single, pairs, searches, 100 + seed) for seed in range(50)]
    truth = np.mean([ballots.mean(axis=0) for ballots, _ in archives], axis=0)
    covered = {"by search": 0.0, "independent": 0.0}
    for ballots, search in archives:
        share, weights = ballots.mean(axis=0), np.full(len(ballots), 1 / len(ballots))
        worth = independent_votes(ballots, weights, search, 0.95)
        for name, votes in (("by search", worth), ("independent", np.full(LAYERS, float(len(ballots))))):
            after = posterior(np.stack([share, 1 - share], 1), np.zeros(LAYERS, np.uint8), votes, 1.0, 0.95)
            inside = (after.intervals[:, 0] <= truth) & (truth <= after.intervals[:, 1])
            covered[name] += inside.mean() / len(archives)
    assert covered["by search"] > 0.88
    assert covered["independent"] < 0.7
