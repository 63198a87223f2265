"""The loss law by variable projection: known laws come back, scipy finds nothing better, margins cover."""

import numpy as np
import pytest
from made_up_law import BUDGETS, FIND, REFERENCE, Truth, study
from scipy.optimize import least_squares, nnls

from aira_lib.scaling.law import fit_laws
from aira_lib.scaling.law_margins import LawFit, fit_designs, offset_over, optimal_exponent, slope_over
from aira_lib.scaling.noise import Noise
from aira_lib.scaling.profile import Point, Profile


def points_of(profiles: list[Profile]) -> list[Point]:
    return [point for profile in profiles for point in profile.points]


def losses_of(points: list[Point]) -> np.ndarray:
    return np.array([[point.loss for point in points]])


@pytest.mark.parametrize(
    "truth",
    [
        REFERENCE,
        FIND,
        Truth(E=1.8172, A=482.01, B=2085.43, a=0.3478, b=0.3658),
        Truth(E=0.5, A=20, B=60, a=0.15, b=0.2),
    ],
)
def test_a_law_without_noise_comes_back(truth: Truth) -> None:
    points = points_of(study(truth, "f", np.random.default_rng(0), 0.0))
    laws = fit_laws(points, losses_of(points))
    found = [laws.floor, laws.size_factor, laws.data_factor, laws.size_exponent, laws.data_exponent]
    expected = [truth.E, truth.A, truth.B, truth.a, truth.b]
    assert [float(each[0]) for each in found] == pytest.approx(expected, rel=1e-4)
    assert laws.optimal_exponent[0] == pytest.approx(truth.b / (truth.a + truth.b), abs=1e-6)
    assert laws.lowest(BUDGETS)[0] == pytest.approx([truth.lowest(b) for b in BUDGETS], abs=1e-8)
    assert (laws.cost, laws.rise) == pytest.approx((6, 1))


def test_scipy_finds_no_better_fit() -> None:
    points = points_of(study(FIND, "f", np.random.default_rng(1), 0.0))
    random = np.random.default_rng(2)
    losses = losses_of(points) + 0.01 * random.standard_normal((6, len(points)))
    laws = fit_laws(points, losses)
    n, d = np.array([p.size for p in points]), np.array([p.tokens for p in points])
    left = ((laws.loss(n, d) - losses) ** 2).sum(axis=1)
    for row, own in zip(losses, left, strict=True):

        def residuals(x: np.ndarray, row: np.ndarray = row) -> np.ndarray:
            columns = np.stack([np.ones_like(n), (n / n.mean()) ** -x[0], (d / d.mean()) ** -x[1]], axis=1)
            return columns @ nnls(columns, row)[0] - row

        best = min(
            2 * least_squares(residuals, start, bounds=(0.02, 2), xtol=1e-12, ftol=1e-12).cost
            for start in ([0.1, 0.5], [0.3, 0.3], [0.6, 0.1])
        )
        assert own <= best + 1e-10


def test_a_floor_below_zero_is_none() -> None:
    """A straight power law less something: E would be negative, and is held at zero."""
    points = points_of(study(Truth(E=-0.4), "f", np.random.default_rng(0), 0.0))
    laws = fit_laws(points, losses_of(points))
    assert laws.found.all()
    assert laws.floor[0] == 0
    assert laws.size_factor[0] > 0


def test_what_determines_no_law_is_refused_in_words() -> None:
    random = np.random.default_rng(0)
    noise = Noise(0.005, 8, 0.0)
    whole = study(REFERENCE, "r", random, 0.0)
    flat = [Profile(p.budget, tuple(Point(q.size, q.tokens, 1.0 * q.size, q.runs) for q in p.points)) for p in whole]
    constant = [
        Profile(p.budget, tuple(Point(q.size, q.tokens, q.flops_per_token, whole[0].points[0].runs) for q in p.points))
        for p in flat
    ]
    found = fit_designs({"two budgets": whole[:2], "constant": constant}, noise)
    assert found["two budgets"] == (
        "8 points of 4 sizes under 2 budgets; a law of five coefficients needs 7 points of 3 sizes under 3 budgets"
    )
    assert str(found["constant"]).startswith("no law with positive terms")
    unknown = fit_designs({"r": whole}, None)["r"]
    assert isinstance(unknown, LawFit)
    assert unknown.estimate(optimal_exponent).margin is None


@pytest.mark.slow
def test_margins_of_a_law_cover() -> None:
    random, sd = np.random.default_rng(5), 0.005
    slope, offset, studies = slope_over(BUDGETS), offset_over(BUDGETS), 60
    true = {
        "exponent": FIND.b / (FIND.a + FIND.b),
        "slope": FIND.slope(BUDGETS) - REFERENCE.slope(BUDGETS),
        "offset": float(np.mean([np.log10(FIND.lowest(b) / REFERENCE.lowest(b)) for b in BUDGETS])),
    }
    covered = dict.fromkeys(true, 0)
    for _ in range(studies):
        designs = {"f": study(FIND, "f", random, sd), "r": study(REFERENCE, "r", random, sd)}
        noise = Noise(sd * np.sqrt(random.chisquare(8) / 8), 8, 0.0)
        fits = fit_designs(designs, noise)
        find, reference = fits["f"], fits["r"]
        assert isinstance(find, LawFit)
        assert isinstance(reference, LawFit)
        found = {
            "exponent": find.estimate(optimal_exponent),
            "slope": find.difference(reference, slope),
            "offset": find.difference(reference, offset),
        }
        for name, each in found.items():
            assert each.margin is not None
            covered[name] += abs(each.value - true[name]) <= each.margin
    assert all(0.9 <= n / studies <= 1 for n in covered.values()), covered
