"""What a program costs, out of a node's `measures`: numbers that its task's `describe` script told, and clocks of ours.

Those of the script (`described_...`) come from a process that holds the submitted code, which can lie: they say what an
honest design costs, and are no judge of another.
"""

import math
from collections.abc import Mapping
from typing import NamedTuple

from aira_lib.records.node import DESCRIBED

SUB_QUADRATIC, LINEAR = 1.5, 1.1
"""Exponents up to which growth is called so: a quadratic design has less than 2 at lengths that are not long."""


class Costs(NamedTuple):
    """What is known of a program's cost; None for what is not.

    Attributes:
        flops_exponent, memory_exponent: powers of the length by which a training step's work and memory grow.
        parameters: of the weights that were saved; where the harness has not counted them, as described.
        base_ratio: to the parameters of the task's base model.
        steps_per_second: described steps over the harness's wall seconds of the training, with start and compilation.
    """

    flops_exponent: float | None = None
    memory_exponent: float | None = None
    parameters: float | None = None
    base_ratio: float | None = None
    steps_per_second: float | None = None

    @property
    def growth(self) -> str | None:
        """The measured word for how work and memory grow, whichever is faster; None where work is not known."""
        if self.flops_exponent is None:
            return None
        most = max(self.flops_exponent, self.memory_exponent or 0.0)
        return "linear" if most <= LINEAR else "sub-quadratic" if most <= SUB_QUADRATIC else "not sub-quadratic"


def costs_of(measures: Mapping[str, float]) -> Costs:
    """The costs that a node's measures have."""
    told = described_in(measures)
    steps, seconds = told.get("steps", 0.0), measures.get("train_seconds")
    speed = steps / seconds if seconds else 0.0  # a script may tell more steps than there are numbers
    return Costs(
        told.get("flops_exponent"),
        told.get("memory_exponent"),
        measures.get("parameters", told.get("parameters")),
        told.get("base_ratio"),
        speed if math.isfinite(speed) and speed else None,
    )


def described_in(measures: Mapping[str, float]) -> dict[str, float]:
    """What a `describe` script told, by its own names."""
    return {name.removeprefix(DESCRIBED): value for name, value in measures.items() if name.startswith(DESCRIBED)}
