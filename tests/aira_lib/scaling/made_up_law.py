"""Made-up studies of two designs whose law of loss is known."""

from dataclasses import dataclass, replace

import numpy as np

from aira_lib.scaling.profile import Point, Profile, Run

BUDGETS = tuple(float(b) for b in np.geomspace(2e19, 4e20, 5))


@dataclass(frozen=True)
class Truth:
    """L = E + A / N^a + B / D^b with 6 N D FLOPs; as fitted by Hoffmann et al. 2022."""

    E: float = 1.69
    A: float = 406.4
    B: float = 410.7
    a: float = 0.34
    b: float = 0.28

    def loss(self, n: float, budget: float) -> float:
        return float(self.E + self.A / n**self.a + self.B / (budget / (6 * n)) ** self.b)

    def best(self, budget: float) -> float:
        """The size of the lowest loss under a budget, from the derivative."""
        ratio = self.a * self.A / (self.b * self.B)
        return float((ratio * (budget / 6) ** self.b) ** (1 / (self.a + self.b)))

    def lowest(self, budget: float) -> float:
        return self.loss(self.best(budget), budget)

    def slope(self, budgets: tuple[float, ...]) -> float:
        """Of a line by least squares through the lowest losses, both logarithmic."""
        return float(np.polyfit(np.log10(budgets), np.log10([self.lowest(b) for b in budgets]), 1)[0])


REFERENCE = Truth()
FIND = replace(REFERENCE, A=390.0, a=0.3425)


def study(
    truth: Truth, name: str, random: np.random.Generator, sd: float, *, shift: float = 1.0, replicated: int = 4,
    trunk: float = 0.0, budgets: tuple[float, ...] = BUDGETS, reach: float = 2.2, sizes: int = 4,
) -> list[Profile]:  # fmt: skip
    """Profiles of one design: one seed, and three on some cells.

    Args:
        truth: the law.
        name: of the design.
        random: of the noise.
        sd: its standard deviation.
        shift: factor on all sizes.
        replicated: how many cells have three seeds.
        trunk: share of the variance that all budgets of a size and seed have in common.
        budgets: FLOPs.
        reach: how far the sizes go beyond the best ones of the smallest and of the largest budget, as a factor.
        sizes: how many.
    """
    grid = np.geomspace(truth.best(budgets[0]) / reach, truth.best(budgets[-1]) * reach, sizes) * shift
    shared = {(i, s): float(random.normal()) for i in range(sizes) for s in range(3)}
    profiles, cells = [], 0
    for budget in budgets:
        points = []
        for i, n in enumerate(map(float, grid)):
            seeds = 3 if cells % (len(budgets) * sizes // max(replicated, 1)) == 0 and replicated else 1
            cells += 1
            runs = []
            for s in range(seeds):
                own = float(random.normal())
                noise = sd * (np.sqrt(trunk) * shared[i, s] + np.sqrt(1 - trunk) * own)
                label = f"{name}@{i}.s{s}"
                runs.append(Run(f"{label}.{budget:.0f}", truth.loss(n, budget) + noise, label if trunk else None))
            points.append(Point(n, budget / (6 * n), 6 * n, tuple(runs)))
        profiles.append(Profile(budget, tuple(points)))
    return profiles
