"""The error of scores of which only the numbers of items are known, such as those that a paper prints."""

import math
from collections.abc import Sequence


def binomial_error(score: float, items: int) -> float:
    """Standard error of a share of right items; of F1, between 0 and 1 item by item, it is the most that can be."""
    return math.sqrt(score * (1 - score) / items)


def error_of_mean(errors: Sequence[float]) -> float:
    """Standard error of the plain mean of independent scores."""
    return math.sqrt(math.fsum(error**2 for error in errors)) / len(errors)


def error_of_difference(one: float, other: float) -> float:
    """Of two scores as if each had been asked other items: which items both got right is not printed."""
    return math.hypot(one, other)
