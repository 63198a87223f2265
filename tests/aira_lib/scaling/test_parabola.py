"""Parabolas and lines agree with numpy's polynomial fit and with curves whose minimum is known."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from aira_lib.scaling.parabola import fit_line, fit_parabola

numbers = st.floats(-3, 3, allow_nan=False)


@given(
    st.lists(st.floats(5, 10), min_size=3, max_size=8, unique=True), st.lists(st.floats(1, 6), min_size=8, max_size=8)
)
def test_parabola_is_the_least_squares_polynomial(log_n: list[float], losses: list[float]) -> None:
    assume(min(np.diff(sorted(log_n))) > 0.05)
    loss = losses[: len(log_n)]
    fit = fit_parabola(log_n, loss)
    expected = np.polyfit(np.array(log_n) - 7, loss, 2)
    at = np.linspace(min(log_n), max(log_n), 11)
    np.testing.assert_allclose([fit.at(float(x)) for x in at], np.polyval(expected, at - 7), rtol=1e-5, atol=1e-5)
    assert fit.exact == (len(log_n) == 3)


@given(st.floats(0.05, 3), st.floats(5.2, 9.8), st.floats(1, 5))
def test_known_minimum_is_found(curvature: float, at: float, lowest: float) -> None:
    log_n = np.array([5.0, 7.0, 8.0, 10.0])
    fit = fit_parabola(log_n, lowest + curvature * (log_n - at) ** 2)
    assert fit.inside
    assert fit.minimum_log_n == pytest.approx(at, abs=1e-6)
    assert fit.minimum_n == pytest.approx(10**at, rel=1e-5)
    assert fit.minimum_loss == pytest.approx(lowest, abs=1e-8)
    assert fit.a == pytest.approx(curvature, rel=1e-6)


def test_minimum_beyond_the_sizes_is_not_inside() -> None:
    log_n = np.array([5.0, 5.5, 6.0])
    fit = fit_parabola(log_n, (log_n - 7) ** 2)
    assert not fit.inside
    assert fit.exact
    assert fit.minimum_log_n == pytest.approx(7)


@pytest.mark.parametrize("shape", [lambda x: -((x - 6) ** 2), lambda x: 9 - x, lambda x: 0 * x + 2.5])
def test_what_does_not_open_upwards_has_no_minimum(shape: object) -> None:
    log_n = np.array([5.0, 6.0, 7.0])
    fit = fit_parabola(log_n, shape(log_n) + 3)  # type: ignore[operator]
    assert (fit.minimum_log_n, fit.minimum_n, fit.minimum_loss, fit.inside) == (None, None, None, False)


def test_minimum_beyond_any_number_does_not_overflow() -> None:
    log_n = np.array([5.0, 6.0, 7.0])
    fit = fit_parabola(log_n, 3 - log_n + 1e-7 * log_n**2)
    assert not fit.inside
    assert fit.minimum_n is None


def test_too_few_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="three distinct sizes, not 2"):
        fit_parabola([5.0, 5.0, 6.0], [1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="two distinct points, not 1"):
        fit_line([5.0, 5.0], [1.0, 2.0])


@given(numbers, numbers)
def test_line_through_points_on_a_line(slope: float, intercept: float) -> None:
    x = np.array([13.0, 13.5, 14.2])
    fit = fit_line(x, slope * x + intercept)
    assert fit.slope == pytest.approx(slope, abs=1e-9)
    assert fit.at(14.0) == pytest.approx(slope * 14 + intercept, abs=1e-8)
    assert not fit.exact
    assert fit_line([13.0, 14.0], [1.0, 2.0]).exact
