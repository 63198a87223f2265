"""What a trainer of language models is. What is around it reads the text, logs, saves checkpoints and resumes."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from aira_lib.records import PretrainPoint
from aira_lib.study import PretrainSection
from aira_lib.training.checkpoint import Part, Shards

if TYPE_CHECKING:
    from aira_lib.datasets.batches import Batches


@dataclass(frozen=True)
class StepResult:
    """What one optimizer step did. Loss in nats per token, before the step; `tokens` and `flops` from the start on."""

    step: int
    tokens: int
    flops: float
    loss: float
    learning_rate: float
    grad_norm: float

    @property
    def finite(self) -> bool:
        """Whether the step could be taken: a gradient that is no number would make all weights none."""
        return math.isfinite(self.loss) and math.isfinite(self.grad_norm)


class Trainer(Protocol):
    """A language model in training, from a point's seed or from a state.

    It computes in `aira_lib.training.precision.effective_precision` and is deterministic: a trainer that was given the
    state of a step goes on to the very results of the one that was not interrupted.

    Where several ranks train together each has one, all of them call each method at the same step, and give the same
    results.
    """

    @property
    def step(self) -> int:
        """Number of finished optimizer steps."""

    def run(self) -> Iterator[StepResult]:
        """Train on to the point's last step, giving each step's result.

        Where loss or gradient are not finite, on any rank, the step changes nothing: weights and moments stay those
        before it, and the next step goes on with the next batch. Who asks for results decides whether it does.
        """

    def state(self) -> Mapping[str, Shards]:
        """Everything that a resumed run needs besides the step, by part: `model`, and what else this trainer has.

        The shards of `model` together are the state dictionary of the point's `LanguageModel`, by which it is scored.
        """

    def load(self, step: int, state: Mapping[str, Part]) -> None:
        """Go on from a saved state, whose shards were put together."""


TrainerFactory = Callable[[PretrainSection, PretrainPoint, "Batches", str], Trainer]
"""Makes a trainer from the section, the point, the batches of steps and a device such as "cpu" or "cuda:1"."""
