"""Normalised scores and bands: the paper's anchors, AIRS-Bench's notebook where it is right, and where it is not."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aira_lib.scores.bands import BANDS, bands_by_rank, bands_by_threshold
from aira_lib.scores.normalised import ScoreScale
from aira_lib.scores.runs import ScoredRun, worst_valid


def notebook(score: float | None, worst: float, sota: float, lower_is_better: bool) -> float:
    """AIRS-Bench's analysis notebook, in its own terms.

    Wrong in it: a perfect score counts as 0.999 in both directions, so that an error of 0 is as far from its optimum
    as one of 0.999; a scale without length gives NaN and then a silent 0.
    """
    optimum = 0.0 if lower_is_better else 1.0

    def phi(x: float) -> float:
        distance = abs(x - optimum) or abs(0.999 - optimum)
        return -math.log10(distance)

    if score is None:
        return 0.0
    length = phi(sota) - phi(worst)
    value = (phi(score) - phi(worst)) / length if length else math.nan
    return 0.0 if math.isnan(value) else max(0.0, value)


@given(st.floats(0, 0.99), st.floats(0, 0.98), st.floats(0.001, 0.5), st.booleans())
def test_short_of_perfect_it_is_the_notebooks(score: float, worst: float, further: float, lower: bool) -> None:
    sota = worst + further * (0.999 - worst)
    turned = (lambda x: 1 - x) if lower else (lambda x: x)
    scale = ScoreScale(turned(worst), turned(sota), 0.0 if lower else 1.0)
    expected = notebook(turned(score), turned(worst), turned(sota), lower)
    assert scale.normalised(turned(score)) == pytest.approx(expected, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize(
    ("best", "sota", "phi_best", "phi_sota"),
    [(0.5050, 0.6379, 0.305, 0.441), (0.8792, 0.9053, 0.918, 1.024), (0.7943, 0.8176, 0.687, 0.739)],
)
def test_the_papers_anchors_and_best_agents(best: float, sota: float, phi_best: float, phi_sota: float) -> None:
    scale = ScoreScale(0.1, sota)
    assert scale.phi(best) == pytest.approx(phi_best, abs=5e-4)
    assert scale.phi(sota) == pytest.approx(phi_sota, abs=5e-4)


def test_what_a_result_is_worth_hangs_on_the_anchor() -> None:
    """Retrieval: the paper's anchor is not what S4 reaches."""
    assert ScoreScale(0.5, 0.8176).normalised(0.7943) == pytest.approx(0.881, abs=5e-4)
    assert ScoreScale(0.5, 0.910).normalised(0.7943) == pytest.approx(0.518, abs=5e-4)


def test_a_perfect_error_is_better_than_the_state_of_the_art() -> None:
    """The notebook gives it 0.501, half of what an error of 0.5 gets."""
    assert notebook(0.0, 2.0, 0.5, lower_is_better=True) == pytest.approx(0.501, abs=1e-3)
    scale = ScoreScale(2.0, 0.5, 0.0, examples=500)
    assert scale.normalised(0.0) > scale.normalised(0.002) > scale.normalised(0.5) == 1.0
    assert scale.phi(0.0) == pytest.approx(3.0)


def test_a_perfect_score_needs_the_number_of_examples() -> None:
    with pytest.raises(ValueError, match="perfect"):
        ScoreScale(0.1, 0.6).normalised(1.0)
    assert ScoreScale(0.1, 0.6, examples=2000).phi(1.0) == pytest.approx(math.log10(4000))


def test_a_scale_without_length_is_refused() -> None:
    """The notebook divides by zero and gives every agent 0."""
    assert notebook(0.9, 0.5, 0.5, lower_is_better=False) == 0.0
    for sota in (0.5, 0.4):
        with pytest.raises(ValueError, match="no nearer to the optimum"):
            ScoreScale(0.5, sota)


def test_nothing_valid_and_less_than_the_worst_are_worth_nothing() -> None:
    scale = ScoreScale(0.5, 0.9)
    assert (scale.normalised(None), scale.normalised(0.2), scale.normalised(0.5)) == (0.0, 0.0, 0.0)
    assert scale.normalised(0.95) > 1.0


def test_the_worst_is_of_valid_runs_and_of_each_direction() -> None:
    runs = [ScoredRun("t", "a", 0, 0.4), ScoredRun("t", "b", 0, None), ScoredRun("t", "b", 1, math.nan)]
    runs += [ScoredRun("loss", "a", 0, 2.0), ScoredRun("loss", "b", 0, 3.0), ScoredRun("none", "a", 0, None)]
    lower = {"t": False, "loss": True, "none": False}
    assert worst_valid(runs, lower) == {"t": 0.4, "loss": 3.0}


def test_bands_are_quarters_of_the_ranks() -> None:
    means = {f"task{place}": 1 - place / 20 for place in range(20)}
    bands = bands_by_rank(means)
    assert [bands[f"task{place}"] for place in range(20)] == [band for band in BANDS for _ in range(5)]
    assert bands_by_rank({"a": 1.0, "b": 0.5, "c": 0.2}) == {}


@given(st.dictionaries(st.text(min_size=1), st.floats(0, 1), min_size=4, max_size=12))
def test_an_easier_task_is_in_no_harder_band(means: dict[str, float]) -> None:
    bands = bands_by_rank(means)
    for task, mean in means.items():
        for other, theirs in means.items():
            if mean >= theirs:
                assert BANDS.index(bands[task]) <= BANDS.index(bands[other])


def test_bands_by_thresholds() -> None:
    found = bands_by_threshold({"a": 0.8, "b": 0.5, "c": 0.3, "d": 0.1}, (0.75, 0.5, 0.25))
    assert found == {"a": "easy", "b": "medium", "c": "hard", "d": "expert"}
    for wrong in ((0.5, 0.25), (0.25, 0.5, 0.75), (0.5, 0.5, 0.25)):
        with pytest.raises(ValueError, match="3 thresholds"):
            bands_by_threshold({}, wrong)
