"""Pareto fronts: what nothing else beats in both of two costs."""

from collections.abc import Sequence
from typing import NamedTuple

AGREE = 0.10
"""Share by which a sum of blocks and the whole may differ for a front to be drawn."""


class Timed(NamedTuple):
    """A design with its loss and its time.

    Attributes:
        name: of the design.
        loss: what is lower the better.
        sum_seconds: its blocks' times added up.
        whole_seconds: its own time; None: not measured.
        ratio: sum by whole, as measured side by side; None: of the two above.
    """

    name: str
    loss: float
    sum_seconds: float
    whole_seconds: float | None
    ratio: float | None = None

    @property
    def difference(self) -> float | None:
        """By which share the sum is above (or, negative, below) the whole; None where that was not measured."""
        if self.whole_seconds is None:
            return None
        return (self.ratio if self.ratio is not None else self.sum_seconds / self.whole_seconds) - 1


class Front(NamedTuple):
    """The designs that none is both as fast and as good as, from the fastest; empty where `refusal` says why not."""

    names: tuple[str, ...]
    refusal: str = ""


def pareto_front(points: Sequence[tuple[float, float]]) -> tuple[int, ...]:
    """Places of the points that no other one is at most as high as in both coordinates, and lower in one.

    They are ordered by the first coordinate, equal points by their place; of equal points all are on the front.
    """
    order = sorted(range(len(points)), key=lambda place: (points[place], place))
    found = list[int]()
    for place in order:
        if not found or points[place][1] < points[found[-1]][1] or points[place] == points[found[-1]]:
            found.append(place)
    return tuple(found)


def latency_front(designs: Sequence[Timed]) -> Front:
    """The front of loss against the time of whole designs, only where that is the sum of their blocks, too.

    Where the two differ by `AGREE` or more, or a whole could not be measured, blocks or wholes are not what they are
    taken for, and a front of either would rank designs by that: there is none then.
    """
    if not designs:
        return Front((), "no design has both a loss and a time")
    if unknown := [each.name for each in designs if each.difference is None]:
        return Front((), f"{_listed(unknown)} could not be measured as a whole, and sums alone are no front")
    known = {each.name: each.difference or 0.0 for each in designs}
    apart = {name: difference for name, difference in known.items() if abs(difference) >= AGREE}
    if apart:
        told = [f"{name} ({_percent(difference)})" for name, difference in apart.items()]
        return Front((), f"the sum of blocks is not within {100 * AGREE:.0f} % of the whole for {_listed(told)}")
    points = [(each.whole_seconds or 0.0, each.loss) for each in designs]
    return Front(tuple(designs[place].name for place in pareto_front(points)))


def _percent(share: float) -> str:
    return f"{100 * share:+.1f} %".replace("-", "−")


def _listed(names: Sequence[str], most: int = 3) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
