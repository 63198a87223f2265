"""Elo ratings by the model of Bradley and Terry: every run of a player meets every run of another on the same task.

On each task a pair of players has one match in all, shared evenly among its n_a x n_b pairs of runs, so that who ran
more often does not count for more; equal scores, and two runs without a valid submission, are half a win each. Each
player has `prior` ties more, against one whose strength is the mean: one that never lost stays finite. Intervals come
from runs drawn anew within agent and task, each draw with a seed of its own.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from aira_lib.scores.interval import Interval

Floats = NDArray[np.float64]
Results = Mapping[str, Mapping[str, Sequence[float | None]]]
"""Scores by task, player and run; None: nothing valid."""

MEAN, SCALE = 1000.0, 400.0
TIE = 1e-6
PRIOR = 1.0
RESAMPLES = 500
_STEPS = 100


def elo(
    results: Results,
    lower_is_better: Mapping[str, bool],
    prior: float = PRIOR,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, Interval]:
    """Rate players; the mean rating is 1000, and 400 points are odds of ten to one.

    Args:
        results: See `Results`. A player has no match on a task that it has no run on.
        lower_is_better: Direction of the score, by task.
        prior: Ties against the mean that each player is given, above 0.
        resamples: Draws behind the intervals; 0: none.
        seed: Of the draws.

    Returns:
        Ratings by player, in order of first appearance; without bounds where no player has two runs on a task.

    Raises:
        ValueError: the prior is not above 0.
    """
    if not prior > 0:
        raise ValueError(f"a prior of {prior:g} ties would leave an unbeaten player without a rating")
    players = list(dict.fromkeys(player for task in results.values() for player in task))
    matches = [_Matches(task, players, lower_is_better[name]) for name, task in results.items()]
    if not players:
        return {}
    found = _rated(_won_in_all(matches, len(players)), prior)
    if not resamples or not any(each.repeated for each in matches):
        return {player: Interval(float(found[i])) for i, player in enumerate(players)}
    draws = [
        _rated(_won_in_all(matches, len(players), stream), prior)
        for stream in map(np.random.default_rng, np.random.SeedSequence(seed).spawn(resamples))
    ]
    low, high = np.quantile(draws, (0.025, 0.975), axis=0)
    return {player: Interval(float(found[i]), float(low[i]), float(high[i])) for i, player in enumerate(players)}


def _won_in_all(matches: "Sequence[_Matches]", players: int, stream: np.random.Generator | None = None) -> Floats:
    """Matches won over all tasks, [players, players]."""
    none = np.zeros((players, players))
    return np.asarray(sum((each.wins(stream) for each in matches), none))


class _Matches:
    """All pairs of runs on one task."""

    def __init__(self, task: Mapping[str, Sequence[float | None]], players: Sequence[str], lower: bool) -> None:
        present = [(player, runs) for player, runs in task.items() if len(runs)]
        self._counts = [len(runs) for _, runs in present]
        self.repeated = any(count > 1 for count in self._counts)
        goodness = np.array(
            [-np.inf if score is None else (-score if lower else score) for _, runs in present for score in runs]
        )
        self._won = _won(goodness)
        self._player = np.zeros((len(players), len(goodness)))
        ends = np.cumsum(self._counts)
        for (player, _), end, count in zip(present, ends, self._counts, strict=True):
            self._player[players.index(player), end - count : end] = 1.0

    def wins(self, stream: np.random.Generator | None = None) -> Floats:
        """Matches that the row's player won of the column's, [players, players]; of runs drawn anew with a stream."""
        shares = [
            np.full(n, 1 / n) if stream is None else np.bincount(stream.integers(n, size=n), minlength=n) / n
            for n in self._counts
        ]
        weighted = self._player * np.concatenate(shares) if shares else self._player
        wins = weighted @ self._won @ weighted.T
        np.fill_diagonal(wins, 0.0)
        return np.asarray(wins)


def _won(goodness: Floats) -> Floats:
    """Of each pair of runs 1, 1/2 or 0 for the row's."""
    with np.errstate(invalid="ignore"):
        ahead = goodness[:, None] - goodness[None, :]
    tied = (np.abs(ahead) <= TIE) | (goodness[:, None] == goodness[None, :])
    return np.where(tied, 0.5, (ahead > 0).astype(np.float64))


def _rated(wins: Floats, prior: float) -> Floats:
    """Ratings, [players], from matches won: the maximum of a concave likelihood, by Newton's method."""
    strength = np.zeros(len(wins))
    played = wins + wins.T
    for _ in range(_STEPS):
        chance = _chance(strength[:, None] - strength[None, :])
        even = _chance(strength)
        slope = (wins - played * chance).sum(axis=1) + prior * (0.5 - even)
        bend = played * chance * (1 - chance)
        curve = np.diag(bend.sum(axis=1) + prior * even * (1 - even)) - bend
        step = np.linalg.solve(curve, slope)
        strength = strength + step * min(1.0, 2.0 / max(float(np.abs(step).max()), 1e-300))
        if np.abs(step).max() < 1e-10:
            break
    return np.asarray(MEAN + SCALE / math.log(10) * (strength - strength.mean()))


def _chance(difference: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-difference)))
