"""How a training ended. It imports no PyTorch: who waits for ranks elsewhere needs none."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Outcome:
    """How a training ended: well or not, and how fast it was, where there were steps enough to tell."""

    well: bool
    tokens_per_second: float | None = None
    mfu: float | None = None
