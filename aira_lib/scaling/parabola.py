"""Fits of the isoFLOP protocol: a parabola through the losses of one budget, a line through the optima of all.

A study with three sizes gives three points a parabola: the fit is then exact, leaves no residual and says nothing of
its own error. Where the minimum lies outside the measured sizes it is an extrapolation, flagged and not used.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

# A curvature that bends the parabola by less than this share of the loss over its range is rounding, not a minimum.
FLAT = 1e-9


@dataclass(frozen=True)
class Parabola:
    """loss = a x² + b x + c with x = log10 of the non-embedding parameters.

    `minimum_log_n` and `minimum_loss` are None when the parabola does not open upwards. `inside` says that the
    minimum lies within the measured sizes; `exact` that there were only three points, so no residual is left.
    """

    a: float
    b: float
    c: float
    minimum_log_n: float | None
    minimum_loss: float | None
    inside: bool
    exact: bool

    @property
    def minimum_n(self) -> float | None:
        """Non-embedding parameters at the minimum; None without one, or where it is beyond any number."""
        x = self.minimum_log_n
        return None if x is None or abs(x) > 300 else float(10.0**x)

    def at(self, log_n: float) -> float:
        """Fitted loss at log10 of a size."""
        return (self.a * log_n + self.b) * log_n + self.c


@dataclass(frozen=True)
class Line:
    """y = slope x + intercept; `exact` with only two points."""

    slope: float
    intercept: float
    exact: bool

    def at(self, x: float) -> float:
        """Value on the line."""
        return self.slope * x + self.intercept


def fit_parabola(log_n: Sequence[float], loss: Sequence[float]) -> Parabola:
    """Least-squares parabola.

    Args:
        log_n: log10 of non-embedding parameters, one a point.
        loss: nats per token, one a point.

    Raises:
        ValueError: fewer than three distinct sizes.
    """
    x, y = np.asarray(log_n, dtype=np.float64), np.asarray(loss, dtype=np.float64)
    sizes = len(np.unique(x))
    if sizes < 3:
        raise ValueError(f"a parabola needs three distinct sizes, not {sizes}")
    middle = float(x.mean())
    a, slope, level = _least_squares(x - middle, y, degree=2)
    b, c = slope - 2 * a * middle, level - slope * middle + a * middle**2
    reach = float(np.ptp(x)) / 2
    if a * reach**2 <= FLAT * float(np.abs(y).max()):
        return Parabola(a, b, c, None, None, inside=False, exact=len(x) == 3)
    at = float(middle - slope / (2 * a))
    lowest = level - slope**2 / (4 * a)
    return Parabola(a, b, c, at, lowest, inside=bool(x.min() <= at <= x.max()), exact=len(x) == 3)


def fit_line(x: Sequence[float], y: Sequence[float]) -> Line:
    """Least-squares line.

    Raises:
        ValueError: fewer than two distinct x.
    """
    xs, ys = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    distinct = len(np.unique(xs))
    if distinct < 2:
        raise ValueError(f"a line needs two distinct points, not {distinct}")
    middle = float(xs.mean())
    slope, level = _least_squares(xs - middle, ys, degree=1)
    return Line(slope, level - slope * middle, exact=len(xs) == 2)


def _least_squares(x: np.ndarray, y: np.ndarray, degree: int) -> list[float]:
    """Coefficients, highest power first; x is centred by the caller, which keeps the system well conditioned."""
    solution = np.linalg.lstsq(np.vander(x, degree + 1), y, rcond=None)[0]
    return [float(value) for value in solution]
