"""One step of training, compiled: what it changes, and what it costs to make."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
import optax
from jax.experimental.compilation_cache import compilation_cache

from aira_lib.lra.interface import told_of
from aira_lib.lra.program import Inputs, Program, Variables, key_shape
from aira_lib.lra.settings import TrainingSettings


class State(NamedTuple):
    """What a step changes, and the loss that it found: mean cross-entropy of its rows."""

    variables: Variables
    optimizer: Any
    loss: jax.Array


class Stepper:
    """The steps of a program. Compiling one takes seconds, which are counted; all errors are the submission's."""

    def __init__(self, program: Program, settings: TrainingSettings) -> None:
        self._program = program
        self._seed = program.configuration.random_seed
        # AdamW but for the rate, which is an argument of a step: another schedule needs no other program.
        self._optimizer = optax.chain(
            optax.scale_by_adam(settings.beta1, settings.beta2, settings.epsilon),
            optax.add_decayed_weights(program.configuration.weight_decay),
        )
        self._compiled: Callable[..., State] | None = None
        self.compile_seconds = 0.0

    def shapes(self) -> State:
        """The state by shape alone."""
        state: State = jax.eval_shape(self._first, key_shape())
        return state

    def first(self) -> State:
        """The state before the first step."""
        with told_of(self._program.submission.path):
            state: State = self._first(jax.random.key(self._seed))
        return state

    def compile(self) -> None:
        """Compile the step."""
        started = time.monotonic()
        of = self._program.configuration
        labels = jax.ShapeDtypeStruct((of.batch_size,), jnp.int32)
        number, rate = jax.ShapeDtypeStruct((), jnp.uint32), jax.ShapeDtypeStruct((), jnp.float32)
        with told_of(self._program.submission.path):
            lowered = jax.jit(self._next, donate_argnums=0).lower(
                self.shapes(), self._program.shapes(of.batch_size), labels, number, rate
            )
            self._compiled = lowered.compile()
        self.compile_seconds = time.monotonic() - started

    def __call__(
        self, state: State, inputs: tuple[npt.NDArray[np.int32], ...], labels: npt.NDArray[np.int32], number: int,
        rate: float,
    ) -> State:  # fmt: skip
        """The state after a step, whose state before is used up."""
        assert self._compiled, "compile first"
        with told_of(self._program.submission.path):
            state = self._compiled(state, inputs, labels, np.uint32(number), np.float32(rate))
            state.loss.block_until_ready()
        return state

    def _first(self, key: jax.Array) -> State:
        variables = self._program.init(key)
        return State(variables, self._optimizer.init(variables["params"]), jnp.zeros((), jnp.float32))

    def _next(self, state: State, inputs: Inputs, labels: jax.Array, number: jax.Array, rate: jax.Array) -> State:
        key = jax.random.fold_in(jax.random.key(self._seed), number)
        params, rest = state.variables["params"], {**state.variables}
        del rest["params"]
        (loss, stats), gradients = jax.value_and_grad(self._loss, has_aux=True)(params, rest, inputs, labels, key)
        updates, optimizer = self._optimizer.update(gradients, state.optimizer, params)
        params = optax.apply_updates(params, jax.tree.map(lambda update: -rate * update, updates))
        kept = {"batch_stats": stats} if rest else {}
        return State({"params": params, **kept}, optimizer, loss)

    def _loss(
        self, params: Any, rest: Variables, inputs: Inputs, labels: jax.Array, key: jax.Array
    ) -> tuple[jax.Array, Any]:
        stepped = self._program.step({"params": params, **rest}, inputs, key)
        return mean_loss(stepped.logits, labels), stepped.batch_stats


def mean_loss(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """The mean cross-entropy of rows in nats, float32."""
    losses: jax.Array = optax.softmax_cross_entropy_with_integer_labels(logits.astype(jnp.float32), labels)
    return losses.mean()


@contextmanager
def compiled_in(folder: Path) -> Iterator[None]:
    """Within, what XLA compiles is kept in a folder and taken from it.

    What lies there is run: a folder belongs to one submission, and to its continuation, and never to another.
    """
    options = {
        "jax_compilation_cache_dir": str(folder),
        "jax_persistent_cache_min_compile_time_secs": 0.2,
        "jax_persistent_cache_min_entry_size_bytes": -1,
    }
    before = {name: getattr(jax.config, name) for name in options}
    _configure(options)
    try:
        yield
    finally:
        _configure(before)


def _configure(options: dict[str, Any]) -> None:
    for name, value in options.items():
        jax.config.update(name, value)
    compilation_cache.reset_cache()  # it is opened at its first use, and would stay where it is
