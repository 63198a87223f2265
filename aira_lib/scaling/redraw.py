"""Losses drawn anew: the noise of every run, the same wherever the run or its trunk appears.

Two designs that came out with the very same layers at some size share its runs, and budgets may share trunks: drawing
each point for itself would make their differences noisier, and sums of branches quieter, than they are.
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from aira_lib.scaling.noise import Noise
from aira_lib.scaling.profile import Point, Profile

Floats = NDArray[np.float64]
DRAWS = 2000


class Redraw:
    """Noise for all runs of some profiles, a function of their names alone."""

    def __init__(self, profiles: Iterable[Profile], noise: Noise, shared: float, draws: int = DRAWS, seed: int = 0):
        """Draw.

        Args:
            profiles: whose runs.
            noise: how much a run varies.
            shared: the share of its variance that a run has from its trunk, where it has one.
            draws: how many times.
            seed: of the random numbers.
        """
        runs = {run.name: run.trunk for each in profiles for point in each.points for run in point.runs}
        trunks = {trunk for trunk in runs.values() if trunk is not None}
        names = [*(("run", name) for name in sorted(runs)), *(("trunk", name) for name in sorted(trunks))]
        random = np.random.default_rng(seed)
        self._normal = dict(zip(names, random.standard_normal((len(names), draws)), strict=True))
        self._noise, self._shared, self._draws = noise, shared, draws

    def losses(self, profile: Profile) -> Floats:
        """[draws, sizes]: the mean losses of a profile's points, drawn about what was measured."""
        return np.stack([point.loss + self._of(point) for point in profile.points], axis=1)

    def _of(self, point: Point) -> Floats:
        total = np.zeros(self._draws)
        for run in point.runs:
            own = self._normal["run", run.name]
            if run.trunk is not None:
                trunk = self._normal["trunk", run.trunk]
                own = np.sqrt(1 - self._shared) * own + np.sqrt(self._shared) * trunk
            total += own
        return np.asarray(self._noise.sd / len(point.runs) * total)
