"""The normalised score (NS): 0 at the worst score that was seen, 1 at the state of the art, counted in nines.

NS = (phi(s) - phi(worst)) / (phi(sota) - phi(worst)) with phi(s) = -log10 |optimum - s|, 0 where nothing valid was
submitted, and no less than 0 (AIRS-Bench, arXiv 2602.06855). A perfect score has no logarithm: its distance is taken
for half an example of the test split, 1/(2n), in both directions of a metric. AIRS-Bench's notebook puts a score of
0.999 in its place, which makes an error of 0 nearly the worst there is.
"""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class ScoreScale:
    """What scores of one task are normalised by, all in the units of its metric.

    Attributes:
        worst: The worst valid score, which is worth 0; pinned, or every further run could move all others.
        sota: The published score that is worth 1.
        optimum: The best score that there could be.
        examples: Of the test split; None: not known, and then a perfect score cannot be placed.
    """

    worst: float
    sota: float
    optimum: float = 1.0
    examples: int | None = None

    def __post_init__(self) -> None:
        """Refuse a scale on which nothing can be placed.

        Raises:
            ValueError: one line.
        """
        if not self.phi(self.sota) > self.phi(self.worst):
            raise ValueError(
                f"the anchor {self.sota:g} is no nearer to the optimum {self.optimum:g} than the worst score "
                f"{self.worst:g}, so nothing lies between them"
            )

    def phi(self, score: float) -> float:
        """Minus the decimal logarithm of the distance to the optimum: one more for each further nine.

        Raises:
            ValueError: a perfect score, and the number of test examples is not known.
        """
        return -math.log10(self._distance(score))

    def normalised(self, score: float | None) -> float:
        """NS of a score; 0 of None, which stands for nothing valid, and of what is worse than the worst.

        Raises:
            ValueError: see `phi`.
        """
        if score is None:
            return 0.0
        low = self.phi(self.worst)
        return max(0.0, (self.phi(score) - low) / (self.phi(self.sota) - low))

    def _distance(self, score: float) -> float:
        if score != self.optimum:
            return abs(self.optimum - score)
        if not self.examples:
            raise ValueError("a score is perfect, and how many test examples that is of is not known")
        return 1 / (2 * self.examples)
