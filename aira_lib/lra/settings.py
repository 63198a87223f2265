"""How every submission of Long Range Arena is trained, beside its configuration."""

from dataclasses import dataclass

from aira_lib.lra.schedule import Schedule


@dataclass(frozen=True)
class TrainingSettings:
    """The optimizer is AdamW with decoupled decay; the objective the mean cross-entropy of a batch's rows.

    Attributes:
        schedule: of the learning rate.
        beta1, beta2, epsilon: of AdamW.
        most_validations: of a training, whatever its configuration asks for; each is over all rows.
        reports: lines of progress of a training, about.
        seconds: after which it ends without a result, compilation counted; None: whenever it is done.
        checkpoint_seconds: between two checkpoints, from which an interrupted training goes on.
    """

    schedule: Schedule = "rsqrt_normalized"
    beta1: float = 0.9
    beta2: float = 0.98
    epsilon: float = 1e-9
    most_validations: int = 20
    reports: int = 50
    seconds: float | None = None
    checkpoint_seconds: float = 60.0
