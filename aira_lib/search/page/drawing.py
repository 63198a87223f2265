"""The two pictures of the page, in numbers: the tree of nodes, and fitness over steps. The template makes them SVG."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from aira_lib.records import Node
from aira_lib.search.page.layout import forest, parents_of

CURVE_WIDTH, CURVE_HEIGHT, MARGIN = 960.0, 210.0, 60.0
_SLOT, _LEVEL, _ROW, _EDGE = 22.0, 54.0, 17.0, 16.0
# Light to dark, even steps of lightness: fitness is read off in grey print too.
_COLOURS = ((222, 235, 247), (107, 174, 214), (8, 69, 148))


@dataclass(frozen=True)
class Mark:
    """One node in a picture. `path` leads from its parent; `fill` is None where the node failed."""

    index: int
    x: float
    y: float
    fill: str | None
    best: bool
    label: str
    path: str = ""


@dataclass(frozen=True)
class Tree:
    """The forest of nodes; `extra` are the lines of nodes to their second parents."""

    marks: list[Mark]
    extra: list[tuple[int, str]]
    width: float
    height: float


@dataclass(frozen=True)
class Curve:
    """Fitness over steps; `best` is the line of the best so far, ticks are (place, text)."""

    marks: list[Mark]
    best: str
    x_ticks: list[tuple[float, str]]
    y_ticks: list[tuple[float, str]]


def fitness(node: Node) -> float | None:
    """The validation fitness of a good node; a failed one, or one that is no finite number, has none."""
    good = node.status == "ok" and node.validation is not None and math.isfinite(node.validation)
    return node.validation if good else None


def best_so_far(nodes: Sequence[Node], lower_is_better: bool) -> list[int | None]:
    """After each step the index of the best node, the earliest of equals."""
    best: int | None = None
    held: float | None = None
    found = []
    for index, node in enumerate(nodes):
        value = fitness(node)
        if value is not None and (held is None or (value < held if lower_is_better else value > held)):
            best, held = index, value
        found.append(best)
    return found


def draw_tree(nodes: Sequence[Node], lower_is_better: bool) -> Tree:
    """Draw the forest."""
    places, best = forest(nodes), _last(best_so_far(nodes, lower_is_better))
    spots = [(_EDGE + p.slot * _SLOT, _EDGE + p.depth * _LEVEL + p.row * _ROW) for p in places]
    fills = _fills(nodes, lower_is_better)
    marks = []
    for index, (node, place, (x, y)) in enumerate(zip(nodes, places, spots, strict=True)):
        path = _branch(spots[place.parent], (x, y - place.row * _ROW), y) if place.parent is not None else ""
        marks.append(Mark(index, x, y, fills[index], index == best, _label(node), path))
    extra = [
        (index, f"M{_xy(*spots[other])}L{_xy(*spots[index])}")
        for index, parents in enumerate(parents_of(nodes))
        for other in parents[1:]
    ]
    width, height = (max((spot[axis] for spot in spots), default=0.0) + _EDGE for axis in (0, 1))
    return Tree(marks, extra, width, height)


def draw_curve(nodes: Sequence[Node], lower_is_better: bool) -> Curve:
    """Draw fitness over steps: failed nodes on the axis, good ones at their fitness."""
    values = [fitness(node) for node in nodes]
    finite = [value for value in values if value is not None]
    low, high = _range(finite)
    floor = CURVE_HEIGHT - 24.0
    across = (CURVE_WIDTH - MARGIN - 12.0) / max(len(nodes) - 1, 1)

    def x(index: int) -> float:
        return MARGIN + index * across

    def y(value: float) -> float:
        return 12.0 + (high - value) / (high - low) * (floor - 30.0)

    fills, bests = _fills(nodes, lower_is_better), best_so_far(nodes, lower_is_better)
    heights = [floor if value is None else y(value) for value in values]
    marks = [
        Mark(index, x(index), height, fills[index], index == bests[-1], _label(nodes[index]))
        for index, height in enumerate(heights)
    ]
    line = [(x(index), y(values[best] or 0.0)) for index, best in enumerate(bests) if best is not None]
    return Curve(
        marks,
        _steps(line),
        [(x(index), str(nodes[index].step)) for index in _spread(len(nodes))],
        [(y(value), f"{value:.3g}") for value in (low, (low + high) / 2, high)] if finite else [],
    )


def _fills(nodes: Sequence[Node], lower_is_better: bool) -> list[str | None]:
    """A colour for each good node, darker for better ones."""
    values = [fitness(node) for node in nodes]
    low, high = _range([value for value in values if value is not None])
    shares = [None if value is None else (value - low) / (high - low) for value in values]
    return [None if share is None else colour(1 - share if lower_is_better else share) for share in shares]


def colour(share: float) -> str:
    """The colour of a share from 0 (worst) to 1 (best)."""
    at = min(max(share, 0.0), 1.0) * (len(_COLOURS) - 1)
    lower = min(int(at), len(_COLOURS) - 2)
    mixed = (round(a + (b - a) * (at - lower)) for a, b in zip(_COLOURS[lower], _COLOURS[lower + 1], strict=True))
    return "#" + "".join(f"{channel:02x}" for channel in mixed)


def _range(values: Sequence[float]) -> tuple[float, float]:
    """The range of values, never empty."""
    low, high = min(values, default=0.0), max(values, default=1.0)
    return (low, high) if high > low else (low - 0.5, low + 0.5)


def _label(node: Node) -> str:
    value = fitness(node)
    return f"step {node.step}, {node.operator}, {'failed' if value is None else f'{value:.4f}'}"


def _branch(start: tuple[float, float], top: tuple[float, float], end: float) -> str:
    """From a parent down to the head of a column, and down the column."""
    middle = (start[1] + top[1]) / 2
    return f"M{_xy(*start)}C{_xy(start[0], middle)} {_xy(top[0], middle)} {_xy(*top)}V{end:g}"


def _steps(points: Sequence[tuple[float, float]]) -> str:
    if not points:
        return ""
    return f"M{_xy(*points[0])}" + "".join(f"H{round(x, 1):g}V{round(y, 1):g}" for x, y in points[1:])


def _xy(x: float, y: float) -> str:
    return f"{round(x, 1):g},{round(y, 1):g}"


def _spread(count: int, most: int = 10) -> list[int]:
    """Some indices, evenly spread, at round distances."""
    distance = next(d for e in range(9) for d in (10**e, 2 * 10**e, 5 * 10**e) if count <= d * most)
    return list(range(0, count, distance))


def _last(found: Sequence[int | None]) -> int | None:
    return found[-1] if found else None
