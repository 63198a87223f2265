import math

import optax
import pytest

from aira_lib.lra.configuration import law
from aira_lib.lra.schedule import peak_warning, rates


def slowly(schedule: str, lr: float, w: int, steps: int, t: int) -> float:
    """The rate of step t, from 1, factor by factor as Long Range Arena writes it."""
    rate = lr * (t / w if t < w else 1.0)
    if schedule == "rsqrt":
        return rate / math.sqrt(t if t > w else w)
    if schedule == "rsqrt_normalized":
        return rate * math.sqrt(w) / math.sqrt(t if t > w else w)
    return rate


@pytest.mark.parametrize("schedule", ["rsqrt", "rsqrt_normalized", "constant"])
@pytest.mark.parametrize(("w", "steps"), [(5, 30), (40, 30), (1, 3)])
def test_rates_are_those_of_the_formula(schedule, w, steps):
    expected = [slowly(schedule, 3e-4, w, steps, t) for t in range(1, steps + 1)]
    assert rates(schedule, 3e-4, w, steps) == pytest.approx(expected, rel=1e-12)


def test_the_cosine_is_that_of_optax():
    theirs = optax.warmup_cosine_decay_schedule(0.0, 2e-3, warmup_steps=7, decay_steps=41)
    assert rates("cosine", 2e-3, 7, 40) == pytest.approx([float(theirs(t)) for t in range(1, 41)], rel=1e-5)


@pytest.mark.parametrize("schedule", ["rsqrt", "rsqrt_normalized", "constant", "cosine"])
def test_no_warm_up_begins_at_the_top_and_no_rate_is_zero(schedule):
    of = rates(schedule, 1e-3, 0, 10)
    assert of[0] == pytest.approx(1e-3)
    assert (of > 0).all()


def test_a_low_peak_is_warned_of():
    retrieval = law("retrieval", "paper")
    of = (retrieval.learning_rate, retrieval.warmup, retrieval.num_train_steps)
    assert "peaks at 6.25e-05, 0.625 of the rate that is set: the warm-up of 8,000 steps does not end in 5,000" in (
        peak_warning("rsqrt_normalized", *of) or ""
    )
    assert "peaks at 6.99e-07" in (peak_warning("rsqrt", *of) or "")
    text = law("text", "paper")
    assert "peaks at 4.47e-06" in (peak_warning("rsqrt", text.learning_rate, text.warmup, text.num_train_steps) or "")
    assert peak_warning("rsqrt_normalized", text.learning_rate, text.warmup, text.num_train_steps) is None
