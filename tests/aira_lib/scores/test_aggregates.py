"""Means, IQM, rates and gaps against SciPy, rliable's definitions and what is known of maxima."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, trim_mean

from aira_lib.scores.aggregates import aggregated, interquartile_mean, mean
from aira_lib.scores.gap import expected_maximum, gap_of, mean_gap
from aira_lib.scores.runs import ScoredRun
from aira_lib.scores.submissions import valid_submission_rate


@settings(max_examples=30)
@given(st.integers(1, 5), st.integers(1, 9), st.integers(0, 1000))
def test_of_equal_numbers_of_runs_it_is_rliables(tasks: int, runs: int, seed: int) -> None:
    """rliable: scipy's trimmed mean of a quarter at both ends, over runs and tasks; the mean of means over runs."""
    scores = np.random.default_rng(seed).normal(size=(tasks, runs)).round(1)
    found = aggregated(scores.tolist(), interquartile_mean, resamples=1)
    assert found.value == pytest.approx(trim_mean(scores, proportiontocut=0.25, axis=None))
    assert aggregated(scores.tolist(), mean, resamples=1).value == pytest.approx(scores.mean(axis=1).mean())


def test_runs_of_a_task_with_more_of_them_weigh_less() -> None:
    """As if each task's runs were repeated until all tasks had as many, which rliable could then read."""
    tasks = [[0.0, 0.1, 0.9], [0.2, 0.4], [0.3, 0.5, 0.6, 0.7]]
    repeated = [sorted(scores * (12 // len(scores))) for scores in tasks]
    assert aggregated(tasks, mean).value == pytest.approx(np.mean([np.mean(scores) for scores in tasks]))
    assert aggregated(tasks, interquartile_mean).value == pytest.approx(trim_mean(repeated, 0.25, axis=None), abs=0.03)


def test_the_interval_is_that_of_runs_drawn_within_tasks() -> None:
    """The bootstrap's variance of a mean of means is known: that of each task by its runs, added up."""
    stream = np.random.default_rng(1)
    tasks = [stream.normal(10 * place, 1 + place, size=8 + 4 * place).tolist() for place in range(3)]
    found = aggregated(tasks, mean, seed=3, resamples=20_000)
    variance = sum(np.var(scores) / len(scores) for scores in tasks) / 9
    assert found.low is not None
    assert found.high is not None
    assert found.high - found.low == pytest.approx(2 * 1.96 * math.sqrt(variance), rel=0.03)
    assert aggregated(tasks, mean, seed=3, resamples=200) == aggregated(tasks, mean, seed=3, resamples=200)
    assert aggregated([[1.0], [2.0]], mean).low is None


def test_a_task_with_a_gap_keeps_its_other_runs() -> None:
    """The notebook drops every seed that lacks a task; here a failed run is a 0 and a missing one is none."""
    assert aggregated([[1.0, 0.0], [1.0]], mean).value == pytest.approx(0.75)
    with pytest.raises(ValueError, match="tasks with runs"):
        aggregated([[1.0], []], mean)


@given(st.integers(0, 40), st.integers(1, 40))
def test_the_rate_of_one_task_has_wilsons_interval(valid: int, further: int) -> None:
    runs = valid + further
    expected = binomtest(valid, runs).proportion_ci(method="wilson")
    found = valid_submission_rate([(valid, runs)])
    assert found == pytest.approx((valid / runs, expected.low, expected.high), abs=1e-9)


def test_the_rate_of_several_tasks_is_a_mean_over_tasks() -> None:
    equal = valid_submission_rate([(10, 10), (0, 10)])
    expected = binomtest(10, 20).proportion_ci(method="wilson")
    assert equal == pytest.approx((0.5, expected.low, expected.high))
    assert valid_submission_rate([(20, 20), (0, 10)]).value == 0.5
    assert valid_submission_rate([(10, 10)] * 6)[1] < 1.0
    for wrong in ([], [(0, 0)], [(3, 2)]):
        with pytest.raises(ValueError, match="runs"):
            valid_submission_rate(wrong)


def test_a_gap_is_never_negative_and_needs_both_scores() -> None:
    assert gap_of(ScoredRun("t", "a", 0, 0.4, peak=0.5)) == pytest.approx(0.1)
    assert gap_of(ScoredRun("t", "a", 0, 2.0, peak=1.5)) == pytest.approx(0.5)
    assert gap_of(ScoredRun("t", "a", 0, None, peak=0.5)) is None
    assert gap_of(ScoredRun("t", "a", 0, 0.4)) is None
    assert gap_of(ScoredRun("t", "a", 0, 0.4, peak=0.4, tested=1, candidates=5)) is None
    assert mean_gap([ScoredRun("t", "a", 0, None)]) is None


def test_the_mean_gap_has_its_error_over_runs() -> None:
    runs = [ScoredRun("t", "a", seed, 0.4, peak=0.4 + gap) for seed, gap in enumerate((0.0, 0.1, 0.2))]
    found = mean_gap(runs)
    assert found is not None
    assert found.runs == 3
    assert found.by_noise is None
    assert found.mean == pytest.approx(0.1)
    assert found.stderr == pytest.approx(0.1 / math.sqrt(3))
    single = mean_gap(runs[:1])
    assert single is not None
    assert single.stderr is None


def test_equally_good_candidates_show_a_gap_by_noise_alone() -> None:
    """Drawn: candidates that are all right with the same chance, of which the first is submitted."""
    stream = np.random.default_rng(0)
    n, candidates, share = 400, 12, 0.3
    tests = stream.binomial(n, share, size=(20_000, candidates)) / n
    expected = float((tests.max(axis=1) - tests[:, 0]).mean())
    found = mean_gap([ScoredRun("t", "a", 0, share, peak=0.4, tested=candidates)], examples=n)
    assert found is not None
    assert found.by_noise == pytest.approx(expected, rel=0.03)


def test_expected_maxima() -> None:
    known = {1: 0.0, 2: 1 / math.sqrt(math.pi), 3: 1.5 / math.sqrt(math.pi), 100: 2.50759}
    assert {n: expected_maximum(n) for n in known} == pytest.approx(known, abs=1e-5)
