"""How work and memory of training grow with length: exponents between L, 2L and 4L, without a step of training.

Work is counted from the program (`aira_lib.lra.flops`), memory is what XLA sets aside beside arguments and results of
the compiled gradient on this device. Exponent 1 is linear, 2 quadratic. The second, from 2L to 4L, is nearer to what a
long input costs, and is the one that counts; at small L what does not depend on length hides what does.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp

from aira_lib.lra.flops import Uncountable, flops_of
from aira_lib.lra.interface import told_of
from aira_lib.lra.parameters import base_parameters, count_parameters
from aira_lib.lra.program import Inputs, Program, Variables, key_shape, variables_of
from aira_lib.lra.refused import Refused
from aira_lib.lra.stepping import mean_loss

SUB_QUADRATIC = 1.5
"""What a set-up that asks for sub-quadratic models refuses above."""


@dataclass(frozen=True)
class Cost:
    """What the gradient of one batch costs at a length.

    Attributes:
        length: places of an input.
        flops: operations; None where they cannot be counted.
        memory: bytes that the compiled program needs for what lies between arguments and results.
    """

    length: int
    flops: float | None
    memory: int


@dataclass(frozen=True)
class Exponents:
    """How a design grows.

    Attributes:
        costs: at L, 2L and 4L.
        flops, memory: exponents from L to 2L and from 2L to 4L; None where one cannot be told.
        uncountable: why work cannot be counted; None where it is.
        parameters: of the model at L.
        base_ratio: its parameters over those of the base Transformer of the same configuration.
        seconds: that measuring took, compilation mostly.
    """

    costs: tuple[Cost, ...]
    flops: tuple[float, float] | None
    memory: tuple[float, float] | None
    uncountable: str | None
    parameters: int
    base_ratio: float
    seconds: float

    def check(self, most: float | None) -> None:
        """Refuse what grows faster than a bound, or whose growth cannot be told.

        Raises:
            Refused: with the exponent and the bound.
        """
        if most is None:
            return
        if self.flops is None:
            raise Refused(f"the exponent of work in length has to be at most {most:g}, and there is {self.uncountable}")
        for name, found in (("work", self.flops), ("memory", self.memory)):
            if found and found[1] > most:
                raise Refused(f"{name} grows with length to the power {found[1]:.2f}; at most {most:g} is allowed")


def exponents_of(
    program_at: Callable[[int], Program], length: int, *, batch: int = 1, compiled: bool = True
) -> Exponents:
    """Measure the growth of a design.

    Args:
        program_at: The program of inputs of a length.
        length: L.
        batch: Rows.
        compiled: Whether memory is measured too, for which three programs are compiled.

    Raises:
        Refused: the submission cannot be made or compiled at one of the lengths.
    """
    started = time.monotonic()
    programs = [program_at(length * times) for times in (1, 2, 4)]
    why, costs = None, []
    for program in programs:
        with told_of(program.submission.path):
            cost, problem = _cost(program, batch, compiled)
        costs.append(cost)
        why = why or problem
    parameters = count_parameters(variables_of(programs[0]))
    base = base_parameters(programs[0].configuration, programs[0].submission.problem)
    flops = None if why else _slopes([each.flops or 0.0 for each in costs])
    memory = _slopes([float(each.memory) for each in costs])
    return Exponents(tuple(costs), flops, memory, why, parameters, parameters / base, time.monotonic() - started)


def at_lengths(program: Program, make: Callable[..., Program]) -> Callable[[int], Program]:
    """Programs of one submission that differ in length alone, for `exponents_of`."""
    return lambda length: make(program.submission, replace(program.configuration, max_length=length))


def _cost(program: Program, batch: int, compiled: bool) -> tuple[Cost, str | None]:
    gradient = jax.grad(_loss_of(program))
    labels: Any = jax.ShapeDtypeStruct((batch,), jnp.int32)
    variables = variables_of(program)
    params, rest = variables.pop("params"), variables
    arguments = (params, rest, program.shapes(batch), labels, key_shape())
    why: str | None = None
    try:
        flops: float | None = flops_of(jax.make_jaxpr(gradient)(*arguments).jaxpr)
    except Uncountable as error:
        flops, why = None, str(error)
    memory = 0
    if compiled and (analysis := jax.jit(gradient).lower(*arguments).compile().memory_analysis()):
        memory = int(analysis.temp_size_in_bytes)
    return Cost(program.configuration.max_length, flops, memory), why


def _loss_of(program: Program) -> Callable[..., jax.Array]:
    def loss(params: Any, rest: Variables, inputs: Inputs, labels: jax.Array, key: jax.Array) -> jax.Array:
        return mean_loss(program.step({"params": params, **rest}, inputs, key).logits, labels)

    return loss


def _slopes(values: list[float]) -> tuple[float, float] | None:
    if not all(values):
        return None
    return math.log2(values[1] / values[0]), math.log2(values[2] / values[1])
