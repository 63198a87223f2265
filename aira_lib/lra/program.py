"""A submitted model as pure functions of its variables: made, applied in training and applied for answers."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.core.partial_eval import lazy_init

from aira_lib.lra.configuration import Configuration
from aira_lib.lra.interface import LARGEST_ENCODING, Submission, told_of
from aira_lib.lra.refused import Refused

Inputs = tuple[jax.Array, ...]
"""Ids, int32 [B, L]: one array, or two for pairs."""

Variables = dict[str, Any]
"""`params`, and `batch_stats` where the model keeps any."""

_KEPT = ("params", "batch_stats")


class Stepped(NamedTuple):
    """Logits of a training step, [B, classes], and the statistics that the step leaves."""

    logits: jax.Array
    batch_stats: Any


@dataclass(frozen=True)
class Program:
    """A submission at a configuration. Its methods are pure, for `jax.jit`; what they raise is for `told_of`."""

    submission: Submission
    module: nn.Module
    configuration: Configuration

    @property
    def dual(self) -> bool:
        """Whether a row is a pair."""
        return self.submission.problem.dual

    def shapes(self, batch: int) -> Inputs:
        """Inputs of a batch, by shape alone."""
        ids: Any = jax.ShapeDtypeStruct((batch, self.configuration.max_length), jnp.int32)
        return (ids, ids) if self.dual else (ids,)

    def init(self, key: jax.Array) -> Variables:
        """The variables before training. Outside of a `jit` they alone are computed, by one program for each shape."""
        made = lazy_init(nn.init(self._composed, self.module))({"params": key, "dropout": key}, *self.shapes(1))
        return {"params": {}, **made}

    def _composed(self, module: Any, *inputs: jax.Array) -> jax.Array:
        if not self.dual:
            return _array(module(*inputs, train=False))
        return _array(module.classify(*(module.encode(each, train=False) for each in inputs), train=False))

    def encode(self, variables: Variables, inputs: jax.Array) -> jax.Array:
        """Encodings of one document of each pair, [B, d]."""
        return _array(self.module.apply(variables, inputs, train=False, method="encode"))

    def classify(self, variables: Variables, *encoded: jax.Array) -> jax.Array:
        """Logits of pairs from the encodings of both, float32 [B, classes]."""
        logits = self.module.apply(variables, *encoded, train=False, method="classify")
        return _array(logits).astype(jnp.float32)

    def answer(self, variables: Variables, inputs: jax.Array) -> jax.Array:
        """Logits of single documents, float32 [B, classes]."""
        return _array(self.module.apply(variables, inputs, train=False)).astype(jnp.float32)

    def step(self, variables: Variables, inputs: Inputs, key: jax.Array) -> Stepped:
        """Logits with dropout, from a key of the step."""
        if not self.dual:
            return self._apply(variables, key, 0, "__call__", *inputs)
        first = self._apply(variables, key, 0, "encode", inputs[0])
        variables = {**variables, **_stats(first)}
        second = self._apply(variables, key, 1, "encode", inputs[1])
        variables = {**variables, **_stats(second)}
        return self._apply(variables, key, 2, "classify", first.logits, second.logits)

    def _apply(self, variables: Variables, key: jax.Array, call: int, method: str, *arguments: jax.Array) -> Stepped:
        rngs = {"dropout": jax.random.fold_in(key, call)}
        kept = self.module.apply(variables, *arguments, train=True, method=method, rngs=rngs, mutable=["batch_stats"])
        value, changed = kept
        return Stepped(_array(value), changed.get("batch_stats", variables.get("batch_stats", {})))


def program_of(
    submission: Submission,
    configuration: Configuration,
    *,
    dropout_rate: float = 0.1,
    attention_dropout_rate: float = 0.1,
) -> Program:
    """A submission at a configuration, checked without any computation: its shapes, its variables, and that it is pure.

    Raises:
        Refused: with what was expected and what came.
    """
    rates = {"dropout_rate": dropout_rate, "attention_dropout_rate": attention_dropout_rate}
    program = Program(submission, submission.module(configuration, **rates), configuration)
    with told_of(submission.path):
        variables = variables_of(program)
        _check_answers(program, variables, configuration.batch_size)
        stepped: Any = jax.eval_shape(program.step, variables, program.shapes(2), key_shape())
        _check_logits(program, "logits in training", stepped.logits, 2)
    return program


def variables_of(program: Program) -> Variables:
    """The variables by shape alone.

    Raises:
        Refused: the model keeps other collections than `params` and `batch_stats`.
    """
    variables: Variables = jax.eval_shape(program.init, key_shape())
    for name in variables:
        if name not in _KEPT:
            raise Refused(f"the model keeps a collection {name!r}; only params and batch_stats outlive training")
    return variables


def key_shape() -> Any:
    """A key of random numbers by shape alone."""
    return jax.eval_shape(lambda: jax.random.key(0))


def _check_answers(program: Program, variables: Variables, batch: int) -> None:
    inputs = program.shapes(batch)
    if not program.dual:
        jaxpr, logits = jax.make_jaxpr(program.answer, return_shape=True)(variables, inputs[0])
        _check_pure(jaxpr)
    else:
        encoding_jaxpr, encoding = jax.make_jaxpr(program.encode, return_shape=True)(variables, inputs[0])
        most = LARGEST_ENCODING * program.configuration.emb_dim
        if len(encoding.shape) != 2 or encoding.shape[0] != batch or encoding.shape[1] > most:
            raise Refused(
                f"encode returned {_shown(encoding)} for {batch} rows; expected [{batch}, d] with d of at most {most} "
                f"({LARGEST_ENCODING} times emb_dim)"
            )
        jaxpr, logits = jax.make_jaxpr(program.classify, return_shape=True)(variables, encoding, encoding)
        _check_pure(encoding_jaxpr)
        _check_pure(jaxpr)
    _check_logits(program, "logits", logits, batch)


def _check_logits(program: Program, what: str, logits: Any, batch: int) -> None:
    expected = (batch, program.submission.problem.num_classes)
    if logits.shape != expected or not jnp.issubdtype(logits.dtype, jnp.floating):
        raise Refused(f"{what}: the model returned {_shown(logits)}; expected float[{expected[0]}, {expected[1]}]")


def _check_pure(closed: Any) -> None:
    if any(isinstance(each, jax.core.Tracer) for each in closed.consts):
        raise Refused("the model reads what an earlier call of it left behind; it has to be a pure function")
    for equation in equations(closed.jaxpr):
        if "callback" in equation.primitive.name:
            raise Refused(f"the model calls back into Python ({equation.primitive.name}); it has to be a pure function")


def equations(jaxpr: Any) -> Iterator[Any]:
    """All equations of a jaxpr, those of its parts among them."""
    for equation in jaxpr.eqns:
        yield equation
        for part in parts(equation):
            yield from equations(part)


def parts(equation: Any) -> list[Any]:
    """The jaxprs within an equation: bodies of loops, branches, functions."""
    found = []
    for value in equation.params.values():
        for each in value if isinstance(value, tuple | list) else (value,):
            inner = getattr(each, "jaxpr", each)
            if hasattr(inner, "eqns"):
                found.append(inner)
    return found


def _stats(stepped: Stepped) -> Variables:
    return {"batch_stats": stepped.batch_stats} if stepped.batch_stats else {}


def _array(value: Any) -> jax.Array:
    """What a model returned, if it is an array."""
    if not isinstance(value, jax.Array):
        raise Refused(f"the model returned a {type(value).__name__}; an array is needed")
    return value


def _shown(array: Any) -> str:
    return f"{array.dtype}[{', '.join(map(str, array.shape))}]"
