"""Tasks whose score tells nothing of a model: it always answers alike, or no better than who guesses."""

from collections.abc import Sequence
from typing import Literal

Flag = Literal["constant answer", "hardly varies", "at chance", "below chance"]

HARDLY = 0.98
"""From this share on, of items that get the same choice by number, the answers are as good as constant."""
NEAR = 2.0
"""So many standard errors about chance are chance."""


def commonest_share(chosen: Sequence[int]) -> float:
    """The largest share of items that get one and the same choice, by its number; 0 of fewer than two items."""
    if len(chosen) < 2:
        return 0.0
    return max(chosen.count(each) for each in set(chosen)) / len(chosen)


def flags_of(
    score: float, stderr: float | None, chance: float | None, share: float, constant: bool = False
) -> tuple[Flag, ...]:
    """What is wrong with a task's score; empty where nothing is.

    Args:
        score: of one model, a share.
        stderr: over items.
        chance: what guessing gives; None where nobody can guess.
        share: see `commonest_share`; 0 of a task without choices.
        constant: whether the same choice was made of all items.
    """
    found: list[Flag] = []
    if constant or share >= 1:
        found.append("constant answer")
    elif share >= HARDLY:
        found.append("hardly varies")
    if chance is not None and stderr is not None and chance > 0:
        if abs(score - chance) <= NEAR * stderr:
            found.append("at chance")
        elif score < chance:
            found.append("below chance")
    return tuple(found)
