"""The law L = E + A / N^a + B / D^b of one design, fitted to all its sizes and budgets at once by variable projection.

For fixed exponents the law is linear in E, A and B: these are solved for, and the search is over (a, b) alone (Golub
and Pereyra 1973). On isoFLOP grids it has not the parabolas' bias (arXiv 2603.22339). Losses of many draws are fitted
in one go: on a grid of exponents by projections, then by Gauss-Newton steps with Kaufman's Jacobian, each damped by
itself (Levenberg-Marquardt). All points weigh alike, as in the parabolas.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from aira_lib.scaling.profile import Point

Floats = NDArray[np.float64]

LEAST, MOST = 0.02, 2.0
"""Exponents of N and D are looked for between these: published ones lie within 0.05 to 0.8."""
POINTS, SIZES, BUDGETS = 7, 3, 3
"""Of five coefficients, with something left; exponents need three values each to bend over."""
_GRID = np.geomspace(LEAST, MOST, 20)
_STEPS, _CLOSE = 40, 1e-6


@dataclass(frozen=True)
class Laws:
    """A law for each draw: all fields are [draws], NaN where the points determine none.

    `cost` and `rise` describe the FLOPs of a token, cost * N^rise, by which N and a budget give D.
    """

    floor: Floats
    size_factor: Floats
    data_factor: Floats
    size_exponent: Floats
    data_exponent: Floats
    cost: float
    rise: float

    @cached_property
    def found(self) -> NDArray[np.bool_]:
        """Which draws have a law."""
        return np.isfinite(self.floor)

    def loss(self, size: Floats, tokens: Floats) -> Floats:
        """[draws, points] of sizes and tokens [points]."""
        at_size = self.size_factor[:, None] * size ** -self.size_exponent[:, None]
        return np.asarray(
            self.floor[:, None] + at_size + self.data_factor[:, None] * tokens ** -self.data_exponent[:, None]
        )

    @property
    def optimal_exponent(self) -> Floats:
        """By which power of compute the best size grows."""
        return np.asarray(self.data_exponent / (self.size_exponent + self.rise * self.data_exponent))

    def lowest(self, budgets: Sequence[float]) -> Floats:
        """[draws, budgets]: the loss of the best size under each budget."""
        compute = np.asarray(budgets, dtype=np.float64)
        tokens_of_one = compute / self.cost  # D = C / (cost N^rise)
        a, b = self.size_exponent[:, None], self.data_exponent[:, None]
        steepness = a * self.size_factor[:, None] / (self.rise * b * self.data_factor[:, None])
        size = (steepness * tokens_of_one**b) ** (1 / (a + self.rise * b))
        at_size = self.size_factor[:, None] * size**-a
        return np.asarray(
            self.floor[:, None] + at_size + self.data_factor[:, None] * (tokens_of_one / size**self.rise) ** -b
        )


def too_few(points: Sequence[Point], budgets: int) -> str:
    """Why these points of one design determine no law; empty where they may.

    Args:
        points: under all budgets.
        budgets: how many those are.
    """
    sizes = len({point.size for point in points})
    if len(points) >= POINTS and sizes >= SIZES and budgets >= BUDGETS:
        return ""
    return (
        f"{len(points)} points of {sizes} sizes under {budgets} budgets; a law of five coefficients needs {POINTS} "
        f"points of {SIZES} sizes under {BUDGETS} budgets"
    )


def fit_laws(points: Sequence[Point], losses: Floats) -> Laws:
    """Fit a law to each draw.

    Args:
        points: sizes and tokens of one design under all budgets, see `too_few`.
        losses: [draws, points], nats per token.

    Returns:
        Laws whose E, A and B are not below zero; NaN where A or B would be, or an exponent leaves its range: then
        the points do not tell what size and data do.
    """
    log_n = np.log([point.size for point in points])
    log_d = np.log([point.tokens for point in points])
    rise, level = np.polyfit(log_n, np.log([point.flops_per_token for point in points]), 1)
    centre = np.array([log_n.mean(), log_d.mean()])
    problem = _Problem(log_n - centre[0], log_d - centre[1], losses)
    exponents, linear = _fit(problem)
    below = np.flatnonzero(linear[:, 2] < 0)
    if len(below):  # E is at its bound there
        exponents[below], linear[below] = _fit(_Problem(problem.log_n, problem.log_d, losses[below], floor=False))
    inner = (exponents > LEAST * 1.001) & (exponents < MOST / 1.001)
    good = np.all(inner, axis=1) & np.all(linear[:, :2] > 0, axis=1)
    factors = linear[:, :2] * np.exp(exponents * centre)
    fields = np.where(good[:, None], np.column_stack([linear[:, 2], factors, exponents]), np.nan)
    floor, size_factor, data_factor, size_exponent, data_exponent = fields.T
    return Laws(
        floor, size_factor, data_factor, size_exponent, data_exponent, cost=float(np.exp(level)), rise=float(rise)
    )


@dataclass(frozen=True)
class _Problem:
    """Centred logarithms of sizes and tokens [points], losses [draws, points], and whether E is free or zero."""

    log_n: Floats
    log_d: Floats
    losses: Floats
    floor: bool = True

    def columns(self, exponents: Floats) -> Floats:
        """[..., points, 2 or 3]: what A, B and, where it is free, E are multiplied by, for exponents [..., 2]."""
        powers = [np.exp(-exponents[..., :1] * self.log_n), np.exp(-exponents[..., 1:] * self.log_d)]
        return np.stack([*powers, np.ones_like(powers[0])] if self.floor else powers, axis=-1)

    def solve(self, exponents: Floats) -> tuple[Floats, Floats, Floats]:
        """Of exponents [draws, 2]: an orthonormal basis, A, B and E [draws, 3], residuals [draws, points]."""
        basis, triangle = np.linalg.qr(self.columns(exponents))
        seen = np.einsum("dpk,dp->dk", basis, self.losses)
        linear = np.linalg.solve(triangle, seen[..., None])[..., 0]
        residuals = self.losses - np.einsum("dpk,dk->dp", basis, seen)
        whole = linear if self.floor else np.column_stack([linear, np.zeros(len(linear))])
        return basis, whole, residuals

    def jacobian(self, exponents: Floats, basis: Floats, linear: Floats) -> Floats:
        """[draws, points, 2]: Kaufman's, of residuals by logarithms of the exponents."""
        columns = self.columns(exponents)[..., :2]
        logs = np.stack([self.log_n, self.log_d], axis=-1)
        moved = columns * logs * (linear[:, None, :2] * exponents[:, None, :])
        return np.asarray(moved - basis @ (basis.transpose(0, 2, 1) @ moved))


def _fit(problem: _Problem) -> tuple[Floats, Floats]:
    """Exponents [draws, 2], and A, B and E [draws, 3] of the centred powers."""
    exponents = _on_grid(problem)
    damping = np.full(len(exponents), 1e-3)
    basis, linear, residuals = problem.solve(exponents)
    for _ in range(_STEPS):
        step = _step(problem.jacobian(exponents, basis, linear), residuals, damping)
        tried = np.clip(exponents * np.exp(-step), LEAST, MOST)
        found = problem.solve(tried)
        better = (found[2] ** 2).sum(axis=1) < (residuals**2).sum(axis=1)
        exponents = np.where(better[:, None], tried, exponents)
        basis, linear, residuals = (
            np.where(better.reshape(-1, *[1] * (new.ndim - 1)), new, old)
            for new, old in zip(found, (basis, linear, residuals), strict=True)
        )
        damping = np.where(better, damping / 5, damping * 10)
        if (np.abs(step) < _CLOSE).all():
            break
    return exponents, linear


def _step(jacobian: Floats, residuals: Floats, damping: Floats) -> Floats:
    """[draws, 2]: by which to lower the logarithms of the exponents, at most by a factor of e."""
    normal = jacobian.transpose(0, 2, 1) @ jacobian
    # Scaled by its own diagonal; the tiny constant keeps it regular where a factor is zero.
    damped = np.einsum("dii->di", normal) * damping[:, None] + 1e-30
    right = jacobian.transpose(0, 2, 1) @ residuals[..., None]
    return np.clip(np.linalg.solve(normal + damped[:, :, None] * np.eye(2), right)[..., 0], -1, 1)


def _on_grid(problem: _Problem) -> Floats:
    """[draws, 2]: the exponents of a grid that leave the least, among those with positive A and B."""
    a, b = np.meshgrid(_GRID, _GRID, indexing="ij")
    grid = np.stack([a.ravel(), b.ravel()], axis=-1)
    basis, triangle = np.linalg.qr(problem.columns(grid))
    seen = basis.transpose(0, 2, 1) @ problem.losses.T
    factors = np.linalg.solve(triangle, seen)[:, :2]
    explained = np.where((factors > 0).all(axis=1), (seen**2).sum(axis=1), -np.inf)
    return np.asarray(grid[explained.argmax(axis=0)])
