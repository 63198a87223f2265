"""A value with the interval that it is known by."""

from typing import NamedTuple


class Interval(NamedTuple):
    """A value and the bounds of its 95 % interval; no bounds where nothing tells how far it could be off."""

    value: float
    low: float | None = None
    high: float | None = None
