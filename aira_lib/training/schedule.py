"""The learning rate of a step: a linear warm-up, then stable and a linear decay (a trapezoid), or a cosine.

Pure functions of settings, scale, step and number of steps. With an absolute warm-up the rate of a step before the
decay does not depend on the number of steps: a shorter run is the beginning of a longer one, and then decays.
"""

import math
from typing import Any

from aira_lib.architecture.scales import Scale
from aira_lib.records import PretrainPoint
from aira_lib.study import OptimizerSection, changed
from aira_lib.study.optimizer import at_scale


def learning_rate(section: OptimizerSection, scale: Scale, step: int, steps: int) -> float:
    """Learning rate of step `step` (from 0) of `steps`.

    It rises to its peak in the last step of the warm-up, and would reach its end, zero or the cosine's
    `final_fraction`, one step after the last. The paper states no schedule; the trapezoid with about 20 % decay is that
    of a sister paper (Bae et al., arXiv 2510.04800).
    """
    warmup = warmup_steps(section, scale, steps)
    rising = (step + 1) / warmup if warmup > 0 else 1.0
    falling = _linear(section, step, steps) if section.schedule == "wsd" else _cosine(section, step, steps, warmup)
    return peak_rate(section, scale) * min(1.0, rising, falling)


def peak_rate(section: OptimizerSection, scale: Scale) -> float:
    """The highest rate of a run: the scale's own, or one that falls with the width (maximal-update practice)."""
    if isinstance(section.learning_rate, dict):
        return section.learning_rate[scale.name]
    return section.learning_rate * section.reference_width / scale.d_model


def warmup_steps(section: OptimizerSection, scale: Scale, steps: int) -> float:
    """Steps in which the rate rises, in a run of so many; tokens may make a fraction of a step."""
    if section.warmup_steps is not None:
        return at_scale(section.warmup_steps, scale.name)
    if section.warmup_tokens is not None:
        return at_scale(section.warmup_tokens, scale.name) / scale.tokens_per_step
    return section.warmup_fraction * steps


def stable_steps(section: OptimizerSection, steps: int) -> int:
    """Whole steps before the rate begins to fall from where it is."""
    return math.floor((1 - section.decay) * steps + 1e-9)


def _linear(section: OptimizerSection, step: int, steps: int) -> float:
    """The share of the peak that a linear decay to zero, which ends with the run, leaves; above 1 before it."""
    decay = section.decay_fraction * steps
    return (steps - step) / decay if decay > 0 else 1.0


def _cosine(section: OptimizerSection, step: int, steps: int, warmup: float) -> float:
    """The share of the peak that half a cosine from the warm-up's end to the run's leaves; 1 before it."""
    past = (step - warmup) / (steps - warmup) if warmup < step < steps else float(step >= steps)
    return section.final_fraction + (1 - section.final_fraction) * (1 + math.cos(math.pi * past)) / 2


# --- of a point -------------------------------------------------------------------------------------------------------


def optimizer_of(section: OptimizerSection, point: PretrainPoint) -> OptimizerSection:
    """The optimizer's settings for one training run: a point may have a peak of its own, and a trunk does not decay."""
    changes: dict[str, Any] = {}
    if point.learning_rate is not None:
        changes["learning_rate"] = {point.design.scale.name: point.learning_rate}
    if point.protocol == "trunk":
        changes["decay_fraction"] = 0.0
    return section.model_copy(update=changes) if changes else section


def optimizer_in_key(section: OptimizerSection, scale: Scale) -> dict[str, Any]:
    """What of the optimizer's settings counts at a scale, by what differs from the defaults.

    Of values for each scale that of this one counts alone, and scales are known by their dimensions, not by name.
    """
    of_scale = {name: {"here": values[scale.name]} for name, values in section.by_scale().items()}
    unread = {"reference_width"} if "learning_rate" in of_scale else set()
    return {**changed(section, exclude=unread), **of_scale}
