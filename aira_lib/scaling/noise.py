"""How much a loss varies with the seed alone, from runs that differ in nothing else.

With branched decays the runs of one seed at several budgets come from one trunk: what its seed did is in all of them,
and what the decays did is each one's own. Such runs have a variance of two parts (one-way random effects): the means of
trunks over budgets vary by trunk + own / budgets, and what is left in a run by its own part.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from aira_lib.scaling.profile import Point


@dataclass(frozen=True)
class Noise:
    """Standard deviation of one run's loss over seeds, in nats per token, known by so many degrees of freedom.

    `shared` is the share of the variance that runs of one trunk have in common, 0 to 1; None: the replicates cannot
    tell it, and a margin is then the wider of those with none and with all of it.
    """

    sd: float
    degrees: int
    shared: float | None = None

    @property
    def shares(self) -> tuple[float, ...]:
        """What `shared` may be."""
        return (0.0, 1.0) if self.shared is None else (self.shared,)


@dataclass
class _Sums:
    squares: float = 0.0
    degrees: int = 0

    def add(self, squares: float, degrees: int) -> None:
        self.squares += squares
        self.degrees += degrees

    @property
    def mean(self) -> float:
        return self.squares / self.degrees if self.degrees else 0.0


def pooled_noise(points: Iterable[Point]) -> Noise | None:
    """The noise pooled over all replicated points; None where no point has two seeds."""
    alone, groups = _Sums(), defaultdict(list)
    for point in {tuple(run.name for run in point.runs): point for point in points}.values():
        trunks = tuple(run.trunk for run in point.runs)
        if len(set(trunks) - {None}) == len(trunks) > 1:
            groups[tuple(sorted(map(str, trunks)))].append(point)
        elif len(trunks) > 1:
            losses = [run.loss for run in point.runs]
            alone.add(float(np.var(losses, ddof=1)) * (len(losses) - 1), len(losses) - 1)
    if not groups:
        return Noise(math.sqrt(alone.mean), alone.degrees, shared=0.0) if alone.degrees else None
    trunk, own, degrees = _components(list(groups.values()))
    variance = (alone.squares + (trunk + own) * degrees) / (alone.degrees + degrees)
    shared = trunk / (trunk + own) if trunk + own > 0 else 0.0
    apart = any(len(group) > 1 for group in groups.values())
    return Noise(math.sqrt(variance), alone.degrees + degrees, shared=shared if apart else None)


def _components(groups: Sequence[Sequence[Point]]) -> tuple[float, float, int]:
    """Variances of trunks and of what is each run's own, and the degrees by which the former is known.

    Args:
        groups: points of one design and size at several budgets, whose runs have the same trunks.
    """
    means, rest, inverse = _Sums(), _Sums(), 0.0
    for group in groups:
        losses = np.array([[run.loss for run in sorted(point.runs, key=lambda r: str(r.trunk))] for point in group])
        apart = losses - losses.mean(axis=1, keepdims=True)
        trunks, budgets = apart.mean(axis=0), len(group)
        degrees = losses.shape[1] - 1
        means.add(float((trunks**2).sum()), degrees)
        rest.add(float(((apart - trunks) ** 2).sum()), degrees * (budgets - 1))
        inverse += degrees / budgets
    return max(0.0, means.mean - rest.mean * inverse / means.degrees), rest.mean, means.degrees


def t95(degrees: float) -> float:
    """Two-sided 95 % quantile of Student's t.

    Raises:
        ValueError: fewer than one degree of freedom.
    """
    if degrees < 1:
        raise ValueError("Student's t needs at least one degree of freedom")
    from scipy.special import stdtrit  # late: most reports compare single seeds

    return float(stdtrit(degrees, 0.975))
