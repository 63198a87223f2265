"""The learning rate of each step, t = 1, 2, ... of a training.

With warm-up w: `rsqrt_normalized` is lr min(1, t/w) sqrt(w / max(t, w)), which rises to lr and then falls as a square
root; `rsqrt` is Long Range Arena's own, without the factor sqrt(w), whose peak is lr / sqrt(w): 4.5e-6, 3.2e-6 and 7e-7
with Table 12, and a rate of 0 in its first step there; `constant` stays at lr after the warm-up; `cosine` falls from it
by half a cosine that would reach 0 one step after the last.
"""

from typing import Literal

import numpy as np
import numpy.typing as npt

Schedule = Literal["rsqrt_normalized", "rsqrt", "constant", "cosine"]
_LOW = 0.9


def rates(schedule: Schedule, learning_rate: float, warmup: int, steps: int) -> npt.NDArray[np.float64]:
    """The rates of all steps, [steps]."""
    t = np.arange(1, steps + 1, dtype=np.float64)
    w = float(max(warmup, 1))
    rising = np.minimum(1.0, t / w)
    past: npt.NDArray[np.float64] = np.maximum(t, w)
    if schedule == "constant":
        factor = np.ones_like(t)
    elif schedule == "cosine":
        factor = (1 + np.cos(np.pi * (past - w) / max(steps + 1 - w, 1.0))) / 2
    else:
        factor = np.sqrt((w if schedule == "rsqrt_normalized" else 1.0) / past)
    return learning_rate * rising * factor


def peak_warning(schedule: Schedule, learning_rate: float, warmup: int, steps: int) -> str | None:
    """What to say of a schedule whose highest rate is below nine tenths of the learning rate; None: nothing."""
    peak = float(rates(schedule, learning_rate, warmup, steps).max())
    if peak >= _LOW * learning_rate:
        return None
    why = f"the warm-up of {warmup:,} steps does not end in {steps:,}" if warmup > steps else "it is not normalised"
    return f"the schedule {schedule} peaks at {peak:.3g}, {peak / learning_rate:.3g} of the rate that is set: {why}"
