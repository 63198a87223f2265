"""The learning rate of a step: linear warm-up, stable, linear decay to zero (a trapezoid)."""

from aira_lib.architecture.scales import Scale
from aira_lib.study import OptimizerSection


def learning_rate(section: OptimizerSection, scale: Scale, step: int, steps: int) -> float:
    """Learning rate of step `step` (from 0) of `steps`.

    The peak falls in proportion to width (maximal-update practice). The paper states no schedule; the trapezoid with
    about 20 % decay is that of a sister paper (Bae et al., arXiv 2510.04800).
    """
    peak = section.learning_rate * section.reference_width / scale.d_model
    warmup = section.warmup_fraction * steps
    decay = section.decay_fraction * steps
    rising = (step + 1) / warmup if warmup > 0 else 1.0
    falling = (steps - step) / decay if decay > 0 else 1.0
    return peak * min(1.0, rising, falling)
