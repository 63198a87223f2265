"""What the proxy says of one design."""

import math
from enum import StrEnum
from typing import Literal

from aira_lib.records.row import Row


class Estimate(Row):
    """A number with its 95 % interval."""

    value: float
    low: float
    high: float


class Accuracies(Row):
    """The accuracies of one task: of tokens, the mean over classes, and the latter by batches of 128 (mad-lab's log).

    `macro_by_batch` is None in records that are older than it.
    """

    token: Estimate
    macro: Estimate
    macro_by_batch: Estimate | None = None


class Rung(Row):
    """Validation scores during training, after some epochs."""

    epoch: int
    validation_by_task: dict[str, float]

    @property
    def validation(self) -> float:
        """Their mean, the fitness there."""
        return sum(self.validation_by_task.values()) / len(self.validation_by_task)


class FailureCause(StrEnum):
    """Why an evaluation failed, for those who decide by it; its `reason` says the same to people."""

    DIVERGED = "diverged"
    NOT_FINITE = "not finite"
    OUT_OF_MEMORY = "out of memory"
    PROCESS_KILLED = "process killed"

    @property
    def of_machine(self) -> bool:
        """Whether another machine, or this one at another time, might have come to a score."""
        return self in (FailureCause.OUT_OF_MEMORY, FailureCause.PROCESS_KILLED)


class Evaluation(Row):
    """What the proxy says of one design. Scores are accuracies (0 to 1) or, of a text, losses (nats per token).

    `validation` and `test` are the means over tasks. `key` names the entry in the store of evaluations, which says who
    made it, where and when; `seconds` is 0 where it was taken from there rather than trained, and `training_seconds`
    what its training took, whoever did it. `cause` is why it failed; None: it did not, or its record is older than
    causes.

    `ranked_by` names the accuracy that the scores are (empty: a text, or an old record, which has token accuracy); all
    accuracies with their intervals are kept by task. `curve` has the validation scores during training. Where training
    ended early, after `stopped_at` epochs, the scores are those of then, not of a whole training, and there is no test.
    """

    status: Literal["ok", "failed"]
    reason: str = ""
    cause: FailureCause | None = None
    ranked_by: Literal["", "token", "macro", "macro-by-batch"] = ""
    validation_accuracies: dict[str, Accuracies] = {}
    test_accuracies: dict[str, Accuracies] = {}
    curve: tuple[Rung, ...] = ()
    stopped_at: int | None = None
    validation: float | None = None
    test: float | None = None
    validation_by_task: dict[str, float] = {}
    test_by_task: dict[str, float] = {}
    params: int = 0
    train_steps: int = 0
    key: str = ""
    seconds: float = 0.0
    training_seconds: float = 0.0

    def finite(self) -> "Evaluation":
        """Itself, or a failure where a score is no finite number: that must neither win nor reach a record."""
        scores = [self.validation, self.test, *self.validation_by_task.values(), *self.test_by_task.values()]
        if all(score is None or math.isfinite(score) for score in scores) and (
            self.status != "ok" or self.validation is not None
        ):
            return self
        kept = self.model_dump(include={"params", "train_steps", "key", "seconds", "training_seconds"})
        cause = self.cause or FailureCause.NOT_FINITE
        return Evaluation(status="failed", reason="a score is not a finite number", cause=cause, **kept)
