"""The training of a submission: AdamW over a seeded order of rows, the same bits again, interrupted or not.

A run has no state but its folder: a checkpoint every so often, lines of progress, what XLA compiled, and at its end
`weights.safetensors`, those of the last step. Dropout and order depend on seed and step alone. On a GPU the same bits
need `XLA_FLAGS=--xla_gpu_deterministic_ops=true`. What was compiled is kept in the folder of the run, for its own
continuation, or in a folder of the submission, for its other trainings: an executable that one submission wrote must
never be read for another, whose results it could change.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np

from aira_lib.lra.checkpoint import load_checkpoint, save_checkpoint
from aira_lib.lra.data.examples import LraSplit
from aira_lib.lra.fingerprint import fingerprint
from aira_lib.lra.infer import Answerer, fitted
from aira_lib.lra.parameters import count_parameters
from aira_lib.lra.program import Program, variables_of
from aira_lib.lra.progress import Progress
from aira_lib.lra.refused import OutOfMemory, Refused
from aira_lib.lra.rows import rows_of_step
from aira_lib.lra.schedule import peak_warning, rates
from aira_lib.lra.settings import TrainingSettings
from aira_lib.lra.stepping import State, Stepper, compiled_in
from aira_lib.lra.weights import save_weights

WEIGHTS = "weights.safetensors"
COMPILED = "compiled"
Ending = Literal["done", "refused", "diverged", "out of memory", "out of time"]


@dataclass(frozen=True)
class Trained:
    """How a training ended.

    Attributes:
        ending: "done" alone leaves weights.
        reason: why not, in one line for its author; empty when done.
        steps: steps done.
        parameters: of the model.
        loss: mean cross-entropy between the last two reports, in nats.
        validations: (steps done, accuracy), over all rows of the validation split.
        compile_seconds: of the step, apart from all others; little where it was compiled before.
        steps_per_second: of steps alone, without compilation, validations and checkpoints; None: none was done.
        warning: what to say of the schedule.
    """

    ending: Ending
    reason: str = ""
    steps: int = 0
    parameters: int = 0
    loss: float | None = None
    validations: list[tuple[int, float]] = field(default_factory=list)
    compile_seconds: float = 0.0
    steps_per_second: float | None = None
    warning: str | None = None


class _Stop(Exception):
    def __init__(self, ending: Ending, reason: str) -> None:
        super().__init__(reason)
        self.ending = ending


def train(
    program: Program,
    examples: LraSplit,
    folder: Path,
    settings: TrainingSettings,
    validation: LraSplit | None = None,
    tell: Callable[[str], None] = print,
    compiled: Path | None = None,
) -> Trained:
    """Train in a folder, or go on there. What goes wrong with the submission is a result with a reason.

    Args:
        program: The submission at its configuration.
        examples: Rows to train on.
        folder: Of this training alone; it is made.
        settings: The same for every submission.
        validation: Rows whose accuracy is told as training goes on; no step depends on them.
        tell: Is given each line for people.
        compiled: Where what XLA compiles is kept, a folder that no other submission can write; None: in `folder`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    run = _Run(program, examples, folder, settings, validation, tell)
    try:
        with compiled_in(compiled or folder / COMPILED):
            run.go()
        return run.ended("done")
    except OutOfMemory as error:
        return run.ended("out of memory", f"{error} ({run.size})")
    except Refused as error:
        return run.ended("refused", str(error))
    except _Stop as error:
        return run.ended(error.ending, str(error))


class _Run:
    """One training as it goes on."""

    def __init__(
        self,
        program: Program,
        examples: LraSplit,
        folder: Path,
        settings: TrainingSettings,
        validation: LraSplit | None,
        tell: Callable[[str], None],
    ) -> None:
        self.program, self.examples, self.folder = program, examples, folder
        self.settings, self.validation, self.tell = settings, validation, tell
        self.configuration, self.steps = program.configuration, program.configuration.num_train_steps
        planned = (settings.schedule, self.configuration.learning_rate, self.configuration.warmup, self.steps)
        self.rates, self.warning = rates(*planned), peak_warning(*planned)
        self.progress = Progress(folder, self.steps, tell)
        self.stepper = Stepper(program, settings)
        self.answerer = Answerer(program, self.configuration.batch_size)
        self.fingerprint = fingerprint(program, examples, settings)
        self.parameters = count_parameters(variables_of(program))
        self.done, self.loss = 0, _Mean()
        self.validations: list[tuple[int, float]] = []
        self.saved = self.began = time.monotonic()
        self.spent_before, self.stepping, self.stepped = 0.0, 0.0, 0

    @property
    def size(self) -> str:
        """What memory goes with."""
        of = self.configuration
        return f"{self.parameters:,} parameters, BATCH_SIZE {of.batch_size}, SEQ_LEN {of.max_length}"

    def go(self) -> None:
        """All steps that are left, and the weights."""
        if self.warning:
            self.tell(f"warning: {self.warning}")
        state = self._begun()
        self.stepper.compile()
        self.progress.say(self.done, compile_seconds=self.stepper.compile_seconds, parameters=self.parameters)
        while self.done < self.steps:
            state = self._advance(state)
            if self._due(-(-self.steps // self.settings.reports)):
                self._report()
            if self.validation and self._validates():
                self._validate(state, self.validation)
            self._keep(state)
        save_weights(self.folder / WEIGHTS, state.variables)

    def _begun(self) -> State:
        """The state of the checkpoint, or the first one."""
        found = load_checkpoint(self.folder, self.stepper.shapes(), self.fingerprint)
        if not found:
            return self.stepper.first()
        state, self.done, notes = found
        self.loss, self.spent_before = _Mean(*notes["loss"]), notes["spent"]
        self.validations = [(step, accuracy) for step, accuracy in notes["validations"]]
        self.tell(f"going on after {self.done:,} steps")
        began: State = jax.tree.map(jnp.array, state)
        return began

    def _advance(self, state: State) -> State:
        of = self.configuration
        rows = rows_of_step(len(self.examples), of.batch_size, of.random_seed, self.done)
        inputs = tuple(fitted(each[rows], of.max_length) for each in self.examples.inputs)
        labels = np.asarray(self.examples.labels[rows], np.int32)
        started = time.monotonic()
        state = self.stepper(state, inputs, labels, self.done, self.rates[self.done])
        self.stepping += time.monotonic() - started
        self.stepped, self.done = self.stepped + 1, self.done + 1
        loss = float(state.loss)
        if not np.isfinite(loss):
            raise _Stop("diverged", f"the loss of step {self.done:,} is {loss}; the last mean was {self.loss}")
        self.loss.add(loss)
        return state

    def _due(self, interval: int) -> bool:
        return self.done == self.steps or self.done % interval == 0

    def _validates(self) -> bool:
        """At the end, and before that as often as asked for, as long as there are not too many."""
        interval = max(self.configuration.eval_frequency, -(-self.steps // self.settings.most_validations))
        return self._due(interval) and not self.steps - interval < self.done < self.steps

    def _report(self) -> None:
        values = {"loss": self.loss.told(), "learning_rate": float(self.rates[self.done - 1])}
        self.progress.say(self.done, **values, steps_per_second=self._speed() or 0.0)

    def _validate(self, state: State, validation: LraSplit) -> None:
        started = time.monotonic()
        logits = self.answerer(state.variables, validation.inputs)
        accuracy = float((logits.argmax(axis=1) == validation.labels).mean())
        self.validations.append((self.done, accuracy))
        seconds = time.monotonic() - started
        self.progress.say(self.done, validation_accuracy=accuracy, validation_seconds=seconds)

    def _keep(self, state: State) -> None:
        """Save what there is if it is time to, and end if there is no time left."""
        late = self.settings.seconds is not None and self._spent() >= self.settings.seconds and self.done < self.steps
        if late or time.monotonic() - self.saved > self.settings.checkpoint_seconds:
            notes = {"loss": self.loss.state(), "validations": self.validations, "spent": self._spent()}
            save_checkpoint(self.folder, state, self.done, self.fingerprint, notes)
            self.saved = time.monotonic()
        if late:
            left = (self.steps - self.done) / (self._speed() or 1.0)
            raise _Stop(
                "out of time",
                f"{self.done:,} of {self.steps:,} steps are done after {self._spent():,.0f} s "
                f"({self.stepper.compile_seconds:,.0f} s of them compiling); the others need about {left:,.0f} s more",
            )

    def _spent(self) -> float:
        """Seconds of this training, those before an interruption among them."""
        return self.spent_before + time.monotonic() - self.began

    def _speed(self) -> float | None:
        return self.stepped / self.stepping if self.stepping else None

    def ended(self, ending: Ending, reason: str = "") -> Trained:
        """The result."""
        return Trained(
            ending, reason, self.done, self.parameters, self.loss.last, self.validations,
            self.stepper.compile_seconds, self._speed(), self.warning,
        )  # fmt: skip


class _Mean:
    """The mean of losses between two reports."""

    def __init__(self, total: float = 0.0, count: int = 0, last: float | None = None) -> None:
        self._total, self._count, self.last = total, count, last

    def add(self, value: float) -> None:
        self._total, self._count = self._total + value, self._count + 1

    def told(self) -> float:
        """The mean so far; the next begins."""
        self.last = self._total / max(1, self._count)
        self._total, self._count = 0.0, 0
        return self.last

    def state(self) -> tuple[float, int, float | None]:
        return self._total, self._count, self.last

    def __str__(self) -> str:
        return "none" if self.last is None else f"{self.last:.4g}"
