"""Results that scores are normalised by: how those that no task folder names are named on a command line."""

import math
from collections.abc import Mapping, Sequence

from aira_lib.errors import UserError, nearest


def read_anchors(given: Sequence[str], tasks: Sequence[str]) -> dict[str, dict[str, float]]:
    """Anchors of the command line by task: NAME=SCORE of the only task, or TASK:NAME=SCORE.

    Raises:
        UserError: one that is neither, of no task here, or no number.
    """
    found: dict[str, dict[str, float]] = {}
    for text in given:
        named, sign, number = text.rpartition("=")
        task, colon, name = named.rpartition(":")
        if not sign or not name.strip():
            raise UserError(f"--anchor {text}: write NAME=SCORE, or of one of several tasks TASK:NAME=SCORE")
        if not colon:
            if len(tasks) != 1:
                raise UserError(f"--anchor {text}: of which of {len(tasks)} tasks? write TASK:{text}")
            task = tasks[0]
        if task not in tasks:
            raise UserError(f"--anchor {text}: no study searches task {task!r}{nearest(task, tasks)}")
        found.setdefault(task, {})[name.strip()] = _number(number, text)
    return found


def _number(number: str, text: str) -> float:
    try:
        value = float(number)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise UserError(f"--anchor {text}: {number!r} is no score; write a number such as 0.91")
    return value


def merged(*sources: Mapping[str, float]) -> dict[str, float]:
    """Anchors of several sources by name; a later one wins, and keeps the place of the first."""
    return {name: score for source in sources for name, score in source.items()}
