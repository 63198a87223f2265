"""How large a run of Autoresearch is: a profile for a laptop's processor, and one as the original's for a GPU."""

from dataclasses import dataclass
from typing import Literal, get_args

ProfileName = Literal["cpu", "gpu"]
PROFILES: tuple[ProfileName, ...] = get_args(ProfileName)
RESERVED = 4
"""Tokens at the end of a vocabulary that stand for no text; the first one begins a document."""


@dataclass(frozen=True)
class Profile:
    """Sizes of a run.

    Attributes:
        name: which.
        vocabulary: tokens, the reserved ones among them.
        length: tokens of a row that a model is given.
        budget_seconds: of a training.
        clock: which seconds: "cpu" of its processes, with one thread, or "wall".
        compile_allowance_seconds: on top of the budget.
        paper_allowance_seconds: on top of the budget in its place where the original's way of counting is asked for,
            which leaves start-up and first steps to the script; its instructions stop a run after twice the budget.
        train_bytes: of text to train on, at most.
        hidden_bytes: of text in each of the two hidden shards, about.
        vocabulary_bytes: of training text that the vocabulary is learned from, at most.
        cuts: whether a document longer than a row becomes several, so that short rows lose none of it; the original
            drops what does not fit.
    """

    name: ProfileName
    vocabulary: int
    length: int
    budget_seconds: float
    clock: Literal["cpu", "wall"]
    compile_allowance_seconds: float
    paper_allowance_seconds: float
    train_bytes: int
    hidden_bytes: int
    vocabulary_bytes: int
    cuts: bool

    @property
    def bos(self) -> int:
        """The token that begins every document."""
        return self.vocabulary - RESERVED


_ALL = (
    Profile("cpu", 1_024, 256, 60, "cpu", 0, 60, 8_000_000, 64_000, 4_000_000, cuts=True),
    # What the original reads of ten shards. It evaluates 40 x 524,288 tokens, whose logits would be 700 GB: far fewer
    # are asked for here, and each score has its standard error.
    Profile("gpu", 8_192, 2_048, 300, "wall", 60, 300, 3_000_000_000, 1_000_000, 1_000_000_000, cuts=False),
)


def profile_of(name: ProfileName) -> Profile:
    """The sizes of a profile."""
    return next(each for each in _ALL if each.name == name)
