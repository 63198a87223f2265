"""Paired differences against scipy's tests, by hand, and against designs whose true difference is known."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from aira_lib.significance.estimate import Estimate, mean_of_items, mean_over_tasks
from aira_lib.significance.paired import paired
from aira_lib.significance.seeds import Spread, averaged, pooled_spread, with_seeds

RANDOM = np.random.default_rng(7)


def answers(
    random: np.random.Generator, items: int, apart: float, draws: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """[draws, items] right or wrong, of two designs that find the same items hard; `apart`: truly."""
    hard = random.uniform(0.1, 0.9 - apart, (draws, items))
    return (random.random(hard.shape) < hard + apart).astype(float), (random.random(hard.shape) < hard).astype(float)


def test_a_difference_is_the_paired_t_test() -> None:
    one, other = RANDOM.normal(0.6, 0.2, 40), RANDOM.normal(0.5, 0.2, 40)
    expected = stats.ttest_rel(one, other)
    interval = expected.confidence_interval(0.95)
    found = paired(one, other)
    assert found.p == pytest.approx(expected.pvalue, rel=1e-9)
    assert found.margin is not None
    assert (found.value - found.margin, found.value + found.margin) == pytest.approx((interval.low, interval.high))


def test_right_and_wrong_are_tested_by_mcnemar() -> None:
    one = np.array([1] * 9 + [0] * 2 + [1] * 50 + [0] * 39)
    other = np.array([0] * 9 + [1] * 2 + [1] * 50 + [0] * 39)
    found = paired(one, other)
    assert found.value == pytest.approx(0.07)
    assert found.p == pytest.approx(stats.binomtest(2, 11).pvalue)
    # By hand: the variance of 9 times 1, 2 times -1 and 89 times 0 about 0.07, over 100 items.
    assert found.stderr == pytest.approx(math.sqrt((11 - 100 * 0.07**2) / 99 / 100))


def test_three_wins_of_three_are_no_certainty() -> None:
    found = paired([1, 1, 1], [0, 0, 0])
    assert (found.stderr, found.margin) == (None, None)
    assert found.p == pytest.approx(0.25)


def test_the_same_answers_do_not_differ() -> None:
    found = paired([1, 0, 1, 0.5], [1, 0, 1, 0.5])
    assert (found.value, found.margin, found.p) == (0, 0, 1)


def test_what_cannot_be_paired_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot be paired"):
        paired([1, 0], [1, 0, 1])
    with pytest.raises(ValueError, match="items"):
        mean_of_items([])
    with pytest.raises(ValueError, match="one task"):
        mean_over_tasks([])
    assert mean_of_items([1.0]) == Estimate(1.0, None, 0)


@pytest.mark.parametrize(("apart", "items"), [(0.0, 100), (0.05, 400)])
def test_intervals_cover_and_p_is_right_under_no_difference(apart: float, items: int) -> None:
    draws = 600
    ones, others = answers(np.random.default_rng(1), items, apart, draws)
    found = [paired(one, other) for one, other in zip(ones, others, strict=True)]
    covered = [each.margin is not None and abs(each.value - apart) <= each.margin for each in found]
    assert 0.92 * draws <= sum(covered) <= 0.98 * draws
    if apart == 0:
        assert sum(each.p is not None and each.p < 0.05 for each in found) <= 0.06 * draws


def test_pairing_beats_comparing_two_scores() -> None:
    one, other = (each[0] for each in answers(np.random.default_rng(2), 2000, 0.03, 1))
    alone = math.hypot(*(mean_of_items(each).stderr or 0.0 for each in (one, other)))
    assert (paired(one, other).stderr or 1.0) < 0.95 * alone


def test_a_mean_over_tasks_covers_and_weighs_tasks_alike() -> None:
    random, covered, draws = np.random.default_rng(3), 0, 400
    sizes, apart = (60, 200, 500), (0.08, 0.0, 0.04)
    tasks = [answers(random, items, gap, draws) for items, gap in zip(sizes, apart, strict=True)]
    for i in range(draws):
        found = mean_over_tasks([paired(one[i], other[i]) for one, other in tasks])
        assert found.value == pytest.approx(sum((one[i] - other[i]).mean() for one, other in tasks) / 3)
        covered += found.margin is not None and abs(found.value - 0.04) <= found.margin
    assert 0.92 * draws <= covered <= 0.98 * draws


def test_a_mean_over_tasks_by_hand() -> None:
    found = mean_over_tasks([Estimate(0.1, 0.03, 30), Estimate(0.3, 0.04, 10)])
    assert (found.value, found.stderr) == pytest.approx((0.2, 0.025))
    assert found.degrees == pytest.approx(0.0025**2 / (0.0009**2 / 30 + 0.0016**2 / 10))
    assert mean_over_tasks([Estimate(0.1, 0.03, 30), Estimate(1.0, None, 0)]).margin is None


def test_another_seed_is_no_further_item() -> None:
    """Three seeds of the same answers tell no more than one."""
    one = RANDOM.random(200)
    assert mean_of_items(averaged([one, one, one])).stderr == pytest.approx(mean_of_items(one).stderr or 0.0)
    with pytest.raises(ValueError, match=r"\[seeds, items\]"):
        averaged([0.5, 0.5])


def test_spread_over_seeds_is_pooled() -> None:
    found = pooled_spread([[0.50, 0.52], [0.40, 0.41, 0.45], [0.7]])
    own = [np.var([0.50, 0.52], ddof=1), 2 * np.var([0.40, 0.41, 0.45], ddof=1)]
    assert found is not None
    assert (found.sd, found.degrees) == (pytest.approx(math.sqrt(sum(own) / 3)), 3)
    assert pooled_spread([[0.5], [0.6]]) is None


def test_seeds_widen_a_difference_and_cover() -> None:
    """Of designs without a difference, three seeds each, whose trainings move the score as much as the items do."""
    random, draws, items, covered, alone = np.random.default_rng(4), 400, 300, 0, 0
    for _ in range(draws):
        hard = random.uniform(0.2, 0.8, items)
        scores = [
            [(random.random(items) < hard + random.normal(0, 0.03)).astype(float) for _ in range(3)] for _ in range(6)
        ]
        spread = pooled_spread([[float(seed.mean()) for seed in design] for design in scores])
        assert spread is not None
        over_items = paired(averaged(scores[0]), averaged(scores[1]))
        found = with_seeds(over_items, spread, (3, 3))
        covered += abs(found.value) <= (found.margin or 0)
        alone += abs(over_items.value) <= (over_items.margin or 0)
    assert 0.93 * draws <= covered
    assert alone < 0.9 * draws
    assert with_seeds(Estimate(0.1, None, 0), Spread(0.1, 2), (1, 1)).margin is None
