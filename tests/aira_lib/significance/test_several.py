"""Corrections for several comparisons, against published quantiles, by hand, and on simulated designs."""

import math

import numpy as np
import pytest
from scipy import stats

from aira_lib.significance import several
from aira_lib.significance.several import (
    covariance_of_means,
    holm,
    luck_of_the_best,
    simultaneous_margins,
)


def test_holm_by_hand() -> None:
    found = holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005, "none": None})
    assert found == pytest.approx({"d": 0.02, "a": 0.03, "c": 0.06, "b": 0.06, "none": None})
    assert holm({"a": 0.9, "b": 0.8}) == {"a": 1.0, "b": 1.0}


def test_holm_keeps_the_rate_of_any_false_call() -> None:
    random = np.random.default_rng(0)
    p = random.random((2000, 5))
    false = [min(v for v in holm(dict(zip("abcde", row, strict=True))).values() if v is not None) < 0.05 for row in p]
    assert 0.035 <= np.mean(false) <= 0.065


@pytest.mark.parametrize(("others", "quantile"), [(1, 1.960), (2, 2.212), (4, 2.442), (9, 2.686)])
def test_simultaneous_margins_are_dunnetts(others: int, quantile: float) -> None:
    """Dunnett's two-sided 5 % points for infinite degrees of freedom, equal groups."""
    margins = simultaneous_margins(np.eye(others + 1), 0)
    assert margins[0] == 0
    assert margins[1:] == pytest.approx([quantile * math.sqrt(2)] * others, rel=0.01)


def test_with_few_degrees_margins_are_those_of_students_t() -> None:
    """Of two designs the paired t interval's; of more, wider: Dunnett's 2.57 and 3.03 for one and two at 5 degrees."""
    margins = [simultaneous_margins(np.eye(others + 1), 0, 5)[1] / math.sqrt(2) for others in (1, 2)]
    assert margins == pytest.approx([float(stats.t.ppf(0.975, 5)), 3.03], rel=0.015)


def test_designs_that_answer_alike_pay_no_price() -> None:
    """Eight designs with the very same answers are one comparison."""
    covariance = np.ones((9, 9)) * 0.01
    covariance[0] = covariance[:, 0] = 0.0
    covariance[0, 0] = 0.01
    assert simultaneous_margins(covariance, 0)[1:] == pytest.approx([1.96 * math.sqrt(0.02)] * 8, rel=0.01)
    assert simultaneous_margins(np.zeros((3, 3)), 1).tolist() == [0, 0, 0]


def test_the_best_of_eight_equals_stands_1_42_errors_above() -> None:
    """The expected largest of eight standard normal values is 1.4236."""
    luck = luck_of_the_best(np.eye(8) * 0.01**2)
    assert luck.mean == pytest.approx(0.014236, rel=0.01)
    assert luck.mean < luck.high < 0.03
    # What all have in common favours none.
    assert luck_of_the_best(np.eye(8) * 0.01**2 + 0.05**2).mean == pytest.approx(0.014236, rel=0.02)


def test_covariance_of_means_is_that_of_means() -> None:
    random = np.random.default_rng(5)
    mixed = random.normal(size=(3, 3))
    tasks, draws = (40, 90), 4000
    means = np.stack([(mixed @ random.normal(size=(draws, 3, n))).mean(axis=2) for n in tasks]).mean(axis=0)
    found = covariance_of_means([mixed @ random.normal(size=(3, 4000))[:, :n] for n in (4000, 4000)])
    exact = mixed @ mixed.T * sum(1 / n for n in tasks) / 4
    assert np.cov(means.T) == pytest.approx(exact, rel=0.15, abs=2e-3)
    assert found == pytest.approx(mixed @ mixed.T * (2 / 4000) / 4, rel=0.2, abs=1e-4)
    assert np.diag(covariance_of_means([np.zeros((2, 5))], [0.1, 0.2])) == pytest.approx([0.1, 0.2])


def test_the_interval_of_the_best_covers_where_the_single_one_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight designs as good as the reference, which share items: the best is picked, then compared."""
    monkeypatch.setattr(several, "DRAWS", 2000)
    random, draws, single, together = np.random.default_rng(6), 300, 0, 0
    items = 400
    for _ in range(draws):
        hard = random.uniform(0.2, 0.8, items)
        scores = (random.random((9, items)) < hard).astype(float)
        covariance = covariance_of_means([scores])
        margins = simultaneous_margins(covariance, 0)
        best = 1 + int(scores[1:].mean(axis=1).argmax())
        above = float(scores[best].mean() - scores[0].mean())
        single += abs(above) <= 1.96 * stats.sem(scores[best] - scores[0])
        together += abs(above) <= margins[best]
    assert together >= 0.93 * draws
    assert single < 0.9 * draws
