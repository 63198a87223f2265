"""Loss curves are means over windows of steps and over seeds, with the range of the seeds, and say so."""

import numpy as np
import pytest

from aira_lib.report.inputs import LossCurve
from aira_lib.report.loss_curves import POINTS, decimated, smoothed, window_sentence


def recorded(steps: int, seed: int, per_step: float = 3e6) -> dict[str, list[float]]:
    """Columns of `loss.parquet`."""
    random = np.random.default_rng(seed)
    step = list(range(1, steps + 1))
    loss = (5 - np.log(step) / 3 + random.normal(0, 0.1, steps)).tolist()
    return {"step": step, "tokens": [n * 64 for n in step], "flops": [n * per_step for n in step], "loss": loss}


@pytest.mark.parametrize("steps", [1, 7, POINTS, POINTS + 1, 5 * POINTS, 71_565])
def test_a_recorded_curve_becomes_means_over_equal_windows(steps: int) -> None:
    columns = recorded(steps, 0)
    curve = decimated(columns, steps)
    assert len(curve.loss) <= POINTS
    assert len(curve.step) == len(curve.tokens) == len(curve.flops) == len(curve.loss) == -(-steps // curve.window)
    assert curve.step[-1] == steps
    for place in {0, len(curve.loss) // 2, len(curve.loss) - 1}:
        window = slice(place * curve.window, (place + 1) * curve.window)
        assert curve.loss[place] == pytest.approx(np.mean(columns["loss"][window]))
        assert curve.tokens[place] == pytest.approx(np.mean(columns["tokens"][window]))
        assert curve.step[place] == columns["step"][window][-1]


def test_seeds_are_averaged_window_by_window_and_leave_their_range() -> None:
    runs = [decimated(recorded(1000, seed), 1000) for seed in range(3)]
    found = smoothed(runs)
    assert found is not None
    losses = np.array([run.loss for run in runs])
    np.testing.assert_allclose(found.mean, losses.mean(axis=0))
    np.testing.assert_allclose([found.low, found.high], [losses.min(axis=0), losses.max(axis=0)])
    assert (found.seeds, found.window) == (3, 5)
    assert window_sentence([found]) == (
        "Every point is the mean over a window of 5 steps, averaged over seeds; the band is their range."
    )


def test_a_seed_that_diverged_counts_as_far_as_it_came() -> None:
    whole, cut = recorded(480, 0), recorded(480, 1)
    cut = {name: column[:101] for name, column in cut.items()}
    cut["loss"][-1] = float("nan")
    found = smoothed([decimated(cut, 480), decimated(whole, 480)])
    assert found is not None
    assert len(found.mean) == POINTS
    assert found.mean[49] == pytest.approx(np.mean([whole["loss"][98:100], cut["loss"][98:100]]))
    assert found.mean[50] == found.low[50] == found.high[50] == pytest.approx(np.mean(whole["loss"][100:102]))
    nothing = LossCurve([1], [1], [float("nan")])
    assert smoothed([nothing]) is smoothed([]) is None


def test_the_second_half_is_by_tokens_and_names_its_window() -> None:
    found = smoothed([decimated(recorded(960, 0), 960)])
    assert found is not None
    late = found.late(0.5, windows=5)
    assert late.tokens[0] > 0.5 * found.tokens[-1]
    assert late.window == 20
    kept = found.mean[found.tokens > 0.5 * found.tokens[-1]]
    np.testing.assert_allclose(late.mean[:-1], [kept[i : i + 5].mean() for i in range(0, len(kept), 5)][:-1])
    assert "one seed" in window_sentence([late])
