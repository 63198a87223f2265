"""How far a fan-out is, in lines that each say something new."""

import math
import time

from aira_lib.console import duration

TELL_SECONDS = 1800.0
"""After which the same is said once more, so that a log shows that somebody waits."""


class Told:
    """What was said so far of a loop; `of`: how many items it has."""

    def __init__(self, of: int) -> None:
        self._of, self._before = of, (-1, -1, -1)
        self._began, self._at = time.monotonic(), -math.inf
        self._first: int | None = None

    def line(self, closed: int, failed: int, active: int, waiting: int) -> str:
        """A line with the time that is left, if something changed, or nothing was said for long; else nothing."""
        now, this = time.monotonic(), (closed, failed, active)
        if this == self._before and now - self._at < TELL_SECONDS:
            return ""
        self._before, self._at = this, now
        self._first = closed if self._first is None else self._first
        parts = [f"{closed} of {self._of} ended", f"{failed} failed" * bool(failed), f"{active} runs at work"]
        parts += [f"{waiting} to start" * bool(waiting), self._left(closed, now)]
        return ", ".join(filter(None, parts))

    def _left(self, closed: int, now: float) -> str:
        since = closed - (self._first or 0)
        if not since or closed == self._of:
            return ""
        return f"about {duration((now - self._began) / since * (self._of - closed))} left"
