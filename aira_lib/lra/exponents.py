"""How work and memory of training grow with length: exponents between L, 2L and 4L, without a step of training.

Work is counted from the program (`aira_lib.lra.flops`), memory is what XLA sets aside beside arguments and results of
the compiled gradient on this device. Exponent 1 is linear, 2 quadratic. That from 2L to 4L is nearer to what a long
input costs than that from L to 2L, and is the one that counts: at small L what does not depend on length hides what
does. So no program is compiled at L.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp

from aira_lib.lra.flops import Uncountable, flops_of
from aira_lib.lra.interface import told_of
from aira_lib.lra.program import Inputs, Program, Variables, key_shape, variables_of
from aira_lib.lra.stepping import mean_loss


@dataclass(frozen=True)
class Cost:
    """What the gradient of one row costs at a length.

    Attributes:
        length: places of an input.
        flops: operations; None where they cannot be counted.
        memory: bytes that the compiled program needs for what lies between arguments and results; None where it was not
            compiled, or does not tell.
    """

    length: int
    flops: float | None
    memory: int | None = None


@dataclass(frozen=True)
class Exponents:
    """How a design grows.

    Attributes:
        costs: at L, 2L and 4L.
        flops: exponents from L to 2L and from 2L to 4L; None where they cannot be told.
        memory: that from 2L to 4L; None where it cannot be told.
        uncountable: why work cannot be counted; None where it is.
    """

    costs: tuple[Cost, ...]
    flops: tuple[float, float] | None
    memory: float | None
    uncountable: str | None


def exponents_of(program: Program, *, compiled: bool = True) -> Exponents:
    """Measure the growth of a design from the length of a program on.

    Args:
        program: A checked one, at L.
        compiled: Whether memory is measured too, for which two programs are compiled.

    Raises:
        Refused: the submission cannot be made or compiled at one of the lengths.
    """
    why, costs = None, []
    for times in (1, 2, 4):
        with told_of(program.submission.path):
            cost, problem = _cost(_longer(program, times), compiled and times > 1)
        costs.append(cost)
        why = why or problem
    first, second, third = costs
    early, late = _slope(first.flops, second.flops), _slope(second.flops, third.flops)
    flops = None if early is None or late is None else (early, late)
    return Exponents(tuple(costs), flops, _slope(second.memory, third.memory), why)


def _longer(program: Program, times: int) -> Program:
    """The same submission on rows so many times as long."""
    configuration = replace(program.configuration, max_length=times * program.configuration.max_length)
    return Program(program.submission, program.submission.module(configuration), configuration)


def _cost(program: Program, compiled: bool) -> tuple[Cost, str | None]:
    """The cost, and why its work cannot be counted."""
    labels: Any = jax.ShapeDtypeStruct((1,), jnp.int32)
    variables = variables_of(program)
    params, rest = variables.pop("params"), variables
    traced = jax.jit(jax.grad(_loss_of(program))).trace(params, rest, program.shapes(1), labels, key_shape())
    flops, why = None, None
    try:
        flops = flops_of(traced.jaxpr.jaxpr)
    except Uncountable as error:
        why = str(error)
    analysis = traced.lower().compile(compiler_options=_quickly()).memory_analysis() if compiled else None
    memory = int(analysis.temp_size_in_bytes) if analysis else None
    return Cost(program.configuration.max_length, flops, memory), why


def _quickly() -> dict[str, Any] | None:
    """Options by which a CPU's compiler plans the same memory and leaves out what only makes the program faster.

    It is never run. On a GPU such options would choose other kernels, and with them other memory.
    """
    return {"xla_backend_optimization_level": 0} if jax.default_backend() == "cpu" else None


def _loss_of(program: Program) -> Callable[..., jax.Array]:
    def loss(params: Any, rest: Variables, inputs: Inputs, labels: jax.Array, key: jax.Array) -> jax.Array:
        return mean_loss(program.step({"params": params, **rest}, inputs, key).logits, labels)

    return loss


def _slope(shorter: float | None, longer: float | None) -> float | None:
    """The exponent between a length and its double; 0 of what needs nothing at either, None where it is not known."""
    if shorter is None or longer is None or (longer and not shorter):
        return None
    return math.log2(longer / shorter) if longer else 0.0
