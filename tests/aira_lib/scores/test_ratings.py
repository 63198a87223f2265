"""Elo ratings against a slow maximum of the likelihood, match by match, and against what must hold of them."""

import math

import numpy as np
import pytest
from scipy.optimize import minimize

from aira_lib.scores.ratings import Results, elo

UP = {"t": False, "u": False, "v": True}


def slow(results: Results, lower: dict[str, bool], prior: float) -> dict[str, float]:
    """The same likelihood, one match at a time, given to a general optimiser."""
    players = list(dict.fromkeys(player for task in results.values() for player in task))
    matches: list[tuple[int, int, float, float]] = []  # who, whom, result, weight
    for name, task in results.items():
        for i, one in enumerate(players):
            for j, other in enumerate(players):
                if i >= j or one not in task or other not in task:
                    continue
                weight = 1 / (len(task[one]) * len(task[other]))
                met = [result(mine, theirs, lower[name]) for mine in task[one] for theirs in task[other]]
                matches += [(i, j, won, weight) for won in met]

    def loss(strength: np.ndarray) -> float:
        total = 0.0
        for i, j, won, weight in matches:
            difference = strength[i] - strength[j]
            total += weight * (won * math.log1p(math.exp(-difference)) + (1 - won) * math.log1p(math.exp(difference)))
        for each in strength:
            total += prior * 0.5 * (math.log1p(math.exp(-each)) + math.log1p(math.exp(each)))
        return total

    found = minimize(loss, np.zeros(len(players)), method="BFGS", options={"gtol": 1e-9}).x
    return dict(zip(players, 1000 + 400 / math.log(10) * (found - found.mean()), strict=True))


def result(mine: float | None, theirs: float | None, lower: bool) -> float:
    if mine is None or theirs is None:
        return 0.5 if mine is theirs else float(theirs is None)
    if abs(mine - theirs) <= 1e-6:
        return 0.5
    return float((mine < theirs) if lower else (mine > theirs))


def drawn(seed: int) -> Results:
    stream = np.random.default_rng(seed)
    results: dict[str, dict[str, list[float | None]]] = {}
    for task in UP:
        results[task] = {}
        for place, player in enumerate(("a", "b", "c", "d")):
            if (task, player) == ("u", "c"):
                continue
            scores = [round(float(x), 1) for x in stream.normal(place * 0.3, 1, size=2 + place)]
            results[task][player] = [None if x < -0.5 else x for x in scores]
    return results


@pytest.mark.parametrize(("seed", "prior"), [(0, 1.0), (1, 0.2)])
def test_ratings_are_the_maximum_of_the_likelihood(seed: int, prior: float) -> None:
    results = drawn(seed)
    found = elo(results, UP, prior, resamples=0)
    expected = slow(results, UP, prior)
    assert {player: each.value for player, each in found.items()} == pytest.approx(expected, abs=1e-2)
    assert np.mean([each.value for each in found.values()]) == pytest.approx(1000)


def test_one_who_never_loses_has_a_finite_rating() -> None:
    """The notebook stops with a KeyError here: its table of wins has no column for such a player."""
    results = {task: {"sota": [0.9], "a": [0.5, 0.4], "b": [0.1, None]} for task in ("t", "u")}
    found = elo(results, UP, resamples=50)
    assert found["sota"].value > found["a"].value > found["b"].value
    assert all(math.isfinite(bound) for each in found.values() for bound in each if bound is not None)


def test_two_players_without_prior_have_the_odds_of_their_matches() -> None:
    """As in the notebook, where it works: 3 of 4 matches won are odds of 3, and 400 points are odds of ten."""
    found = elo({"t": {"a": [1.0], "b": [0.0, 0.0, 0.0, 2.0]}}, UP, prior=1e-9, resamples=0)
    assert found["a"].value - found["b"].value == pytest.approx(400 * math.log10(3), abs=1e-3)


def test_more_runs_count_for_no_more() -> None:
    """Of an agent with 20 runs each run is a smaller share of the same match."""
    few = {"t": {"a": [1.0, 0.0], "b": [0.5], "c": [0.2, 0.8]}}
    many = {"t": {"a": [1.0, 0.0] * 10, "b": [0.5] * 3, "c": [0.2, 0.8]}}
    assert [x.value for x in elo(few, UP, resamples=0).values()] == pytest.approx(
        [x.value for x in elo(many, UP, resamples=0).values()]
    )


def test_ties_directions_and_failures() -> None:
    even = elo({"t": {"a": [0.5], "b": [0.5 + 5e-7]}, "u": {"a": [None], "b": [None]}}, UP, resamples=0)
    assert even["a"].value == pytest.approx(even["b"].value)
    lower = elo({"v": {"a": [1.0], "b": [2.0]}}, UP, resamples=0)
    assert lower["a"].value > lower["b"].value
    failed = elo({"v": {"a": [1e9], "b": [None]}}, UP, resamples=0)
    assert failed["a"].value > failed["b"].value


def test_near_scores_far_from_zero_are_no_tie() -> None:
    """The notebook's np.isclose has a relative tolerance as well, which takes 1000 and 1000.005 for equal."""
    assert np.isclose(1000.0, 1000.005, atol=1e-6)
    found = elo({"t": {"a": [1000.005], "b": [1000.0]}}, UP, resamples=0)
    assert found["a"].value > found["b"].value + 50


def test_intervals_come_from_runs_and_each_draw_has_its_own_stream() -> None:
    """The notebook's workers inherit one state and repeat each other's draws."""
    results = drawn(3)
    once, again = (elo(results, UP, resamples=60, seed=5) for _ in range(2))
    other = elo(results, UP, resamples=60, seed=6)
    assert once == again != other
    for each in once.values():
        assert each.low is not None
        assert each.high is not None
        assert each.low <= each.value <= each.high
    assert elo({"t": {"a": [1.0], "b": [2.0]}}, UP)["a"].low is None
    # Where all runs of an agent are equal, drawing them anew changes nothing.
    fixed = elo({"t": {"a": [1.0] * 5, "b": [0.0] * 3}}, UP, resamples=20)
    assert fixed["a"].low == pytest.approx(fixed["a"].value) == pytest.approx(fixed["a"].high)


def test_a_prior_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="unbeaten"):
        elo({"t": {"a": [1.0], "b": [0.0]}}, UP, prior=0.0)
    assert elo({}, {}) == {}
