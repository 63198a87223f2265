"""Frontiers of known laws: margins cover, lack of fit cancels, what is censored has no slope and says why."""

import math
from dataclasses import replace

import numpy as np
import pytest
from made_up_law import BUDGETS, FIND, REFERENCE, study
from scipy import stats

from aira_lib.scaling.frontier import Contrast, contrast, line_of, slope_margin
from aira_lib.scaling.noise import Noise, pooled_noise, t95
from aira_lib.scaling.profile import Point, Profile, Run
from aira_lib.scaling.redraw import Redraw
from aira_lib.scaling.refusal import refusal, too_few


def noise_of(*designs: list[Profile]) -> Noise:
    noise = pooled_noise(point for profiles in designs for profile in profiles for point in profile.points)
    assert noise is not None
    return noise


def truths(made: Contrast) -> tuple[float, float]:
    """The laws' own differences of slopes and offsets, at the budgets of a contrast."""
    budgets = tuple(each.budget for each in made.apart)
    apart = [math.log10(FIND.lowest(b) / REFERENCE.lowest(b)) for b in budgets]
    return FIND.slope(budgets) - REFERENCE.slope(budgets), float(np.mean(apart))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("studies", "reach", "trunk", "replicated"),
    [(400, 2.2, 0.0, 2), (200, 1.02, 0.0, 2), (200, 2.2, 0.7, 20), (200, 2.2, 0.7, 2)],
    ids=["four cells", "minima near the edge", "trunks", "trunks that replicates cannot tell"],
)
def test_intervals_of_differences_cover(studies: int, reach: float, trunk: float, replicated: int) -> None:
    """Of studies at 0.005 nats, whose own replicates tell the noise: three seeds on four cells of two designs."""
    random = np.random.default_rng(1)
    covered, made = np.zeros(2), 0
    for _ in range(studies):
        find, reference = (
            study(law, name, random, 0.005, reach=reach, trunk=trunk, replicated=replicated)
            for law, name in ((FIND, "f"), (REFERENCE, "r"))
        )
        found = contrast(find, reference, noise_of(find, reference))
        if found.slope is None or found.slope_margin is None or found.offset is None or found.offset_margin is None:
            continue
        slope, offset = truths(found)
        covered += abs(found.slope - slope) <= found.slope_margin, abs(found.offset - offset) <= found.offset_margin
        made += 1
    assert made > 0.9 * studies
    assert (0.9 * made <= covered).all()
    assert covered[0] <= 0.99 * made


@pytest.mark.parametrize("shift", [0.7, 1.0, 1.5])
def test_lack_of_fit_cancels(shift: float) -> None:
    random = np.random.default_rng(0)
    find, reference = study(FIND, "f", random, 0, shift=shift), study(REFERENCE, "r", random, 0, shift=shift)
    made = contrast(find, reference, None)
    slope, offset = truths(made)
    assert made.budgets == 5
    assert made.slope == pytest.approx(slope, abs=1e-4)
    assert made.offset == pytest.approx(offset, abs=1e-4)
    assert made.verdict == "spread unknown"
    line = line_of(find)
    assert line is not None
    # Of one frontier it does not cancel as well, which is why designs are compared by differences.
    assert abs(line.slope - FIND.slope(BUDGETS)) > 5 * abs(made.slope - slope)


def test_the_differences_are_regressed_on_centred_budgets() -> None:
    random = np.random.default_rng(2)
    find, reference = study(FIND, "f", random, 0.005), study(REFERENCE, "r", random, 0.005)
    made = contrast(find, reference, noise_of(find, reference))
    x, y = [math.log10(a.budget) for a in made.apart], [a.difference for a in made.apart]
    line = stats.linregress(np.array(x) - np.mean(x), y)
    assert (made.slope, made.offset) == pytest.approx((line.slope, line.intercept))
    assert [made.at(10**each) for each in x] == pytest.approx(list(line.intercept + line.slope * (x - np.mean(x))))


def test_a_common_trunk_narrows_slopes_no_more_than_it_should() -> None:
    """All noise in trunks moves a size at all budgets together; all of it in runs does not."""
    random = np.random.default_rng(3)
    profiles = study(REFERENCE, "r", random, 0.005, trunk=1.0, replicated=0)
    alone, together = (slope_margin(profiles, Noise(0.005, 8, shared)) for shared in (0.0, 1.0))
    assert alone is not None
    assert together is not None
    assert alone > 1.2 * together
    assert slope_margin(profiles, Noise(0.005, 8, None)) == pytest.approx(max(alone, together))


def test_what_designs_share_moves_neither_against_the_other() -> None:
    profiles = study(REFERENCE, "r", np.random.default_rng(4), 0.005)
    made = contrast(profiles, profiles, Noise(0.005, 8, 0.0))
    assert (made.slope, made.slope_margin, made.offset_margin) == (0, 0, 0)


def test_draws_have_the_noise_of_runs_and_of_trunks() -> None:
    runs = [Run(f"{b}.{s}", 2.0, f"t{s}") for b in "ab" for s in range(3)]
    one, two = (Point(1e6, 1e9, 6e6, tuple(runs[i : i + 3])) for i in (0, 3))
    profiles = [Profile(1.0, (one,)), Profile(2.0, (two,))]
    redraw = Redraw(profiles, Noise(0.01, 8), shared=0.36, draws=40_000)
    first, second = (redraw.losses(each)[:, 0] for each in profiles)
    assert first.mean() == pytest.approx(2.0, abs=1e-3)
    assert first.std() == pytest.approx(0.01 / math.sqrt(3), rel=0.02)
    assert np.corrcoef(first, second)[0, 1] == pytest.approx(0.36, abs=0.02)


def test_noise_is_pooled_over_replicates() -> None:
    random = np.random.default_rng(5)
    profiles = study(REFERENCE, "r", random, 0.005, replicated=4)
    losses = [[run.loss for run in p.runs] for each in profiles for p in each.points if len(p.runs) > 1]
    noise = noise_of(profiles)
    assert (len(losses), noise.degrees, noise.shared) == (4, 8, 0.0)
    assert noise.sd == pytest.approx(math.sqrt(np.mean([np.var(each, ddof=1) for each in losses])))
    assert pooled_noise(p for each in study(REFERENCE, "r", random, 0.005, replicated=0) for p in each.points) is None


def test_noise_of_trunks_is_told_from_that_of_decays() -> None:
    random = np.random.default_rng(6)
    made = [noise_of(study(REFERENCE, "r", random, 0.005, trunk=0.6, replicated=20)) for _ in range(200)]
    assert np.mean([noise.sd**2 for noise in made]) == pytest.approx(0.005**2, rel=0.06)
    shared = [noise.shared * noise.sd**2 for noise in made if noise.shared is not None]
    assert len(shared) == 200
    assert np.mean(shared) == pytest.approx(0.6 * 0.005**2, rel=0.1)
    assert {noise.degrees for noise in made} == {8}
    assert noise_of(study(REFERENCE, "r", random, 0.005, trunk=0.6, replicated=1)).shared is None


def test_a_censored_design_is_refused_in_words() -> None:
    """The best sizes lie below all that were trained: no slope, which edge points would have made steeper."""
    random = np.random.default_rng(7)
    whole = study(REFERENCE, "r", random, 0)
    small = study(replace(FIND, A=250.0), "f", random, 0, shift=3.2, reach=1.5)
    places = [each.place for each in small]
    assert places.count("below") == 3
    made = contrast(small, whole, Noise(0.005, 8, 0.0))
    assert (made.slope, made.slope_margin, made.verdict) == (None, None, "too few common minima")
    assert line_of(small) is None
    assert slope_margin(small, Noise(0.005, 8, 0.0)) is None
    assert too_few(small) == (
        "no slope: optimum below the smallest size at 3 of 5 budgets (2e19, 4.23e19, 8.94e19 FLOPs); add smaller sizes"
    )
    large = study(REFERENCE, "f", random, 0, shift=0.02)
    assert refusal(large).startswith("optimum above the largest size at 5 of 5 budgets (")
    assert refusal(large).endswith("add larger sizes")
    assert contrast(large, whole, None) == Contrast((), None, None, None, None)
    assert refusal(whole) == too_few(whole) == ""


def test_too_few_sizes_or_budgets_are_refused_in_words() -> None:
    random = np.random.default_rng(8)
    two_sizes = study(REFERENCE, "r", random, 0, sizes=2)
    assert refusal(two_sizes).startswith("fewer than 3 sizes at 5 of 5 budgets")
    two_budgets = study(REFERENCE, "r", random, 0, budgets=BUDGETS[1:3])
    assert too_few(two_budgets) == "no slope: 2 budgets, and a line needs 3"
    made = contrast(two_budgets, study(REFERENCE, "q", random, 0), Noise(0.005, 8, 0.0))
    assert (made.budgets, made.slope) == (2, None)
    assert made.offset_margin is not None
    with pytest.raises(ValueError, match="lies not within the sizes: too few sizes"):
        _ = two_sizes[0].lowest


@pytest.mark.parametrize(
    ("degrees", "published"),
    [(1, 12.7062), (2, 4.3027), (5, 2.5706), (10, 2.2281), (11, 2.2010), (15, 2.1314), (30, 2.0423), (200, 1.9719)],
)
def test_student_quantile(degrees: int, published: float) -> None:
    assert t95(degrees) == pytest.approx(published, abs=6e-5)


def test_student_quantile_needs_a_degree_of_freedom() -> None:
    with pytest.raises(ValueError, match="at least one"):
        t95(0)
