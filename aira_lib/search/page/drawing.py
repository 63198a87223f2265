"""The two pictures of the page, in numbers: the tree of nodes, and fitness over steps. The template makes them SVG."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from aira_lib.records import Node
from aira_lib.search.page.layout import forest, parents_of

CURVE_WIDTH, CURVE_HEIGHT, MARGIN = 960.0, 210.0, 60.0
_SLOT, _LEVEL, _ROW, _EDGE = 26.0, 58.0, 21.0, 20.0
_SIDE = 11.0  # of a column of children, to the left: the line that they hang on
_DARK = 0.6  # share of the colours from which on ink on them is light
# Light to dark, even steps of lightness: fitness is read off in grey print too.
_COLOURS = ((222, 235, 247), (107, 174, 214), (8, 69, 148))


@dataclass(frozen=True)
class Mark:
    """One node. `path` leads from its parent; `fill` is None where it failed; `dark` ones want light ink."""

    index: int
    x: float
    y: float
    fill: str | None
    best: bool
    label: str
    step: int
    dark: bool = False
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
        if (
            value is not None
            and not node.within_noise
            and (held is None or (value < held if lower_is_better else value > held))
        ):
            best, held = index, value
        found.append(best)
    return found


def draw_tree(nodes: Sequence[Node], lower_is_better: bool) -> Tree:
    """Draw the forest."""
    places, best = forest(nodes), _last(best_so_far(nodes, lower_is_better))
    spots = [(_EDGE + p.slot * _SLOT, _EDGE + p.depth * _LEVEL + p.row * _ROW) for p in places]
    shares = _shares(nodes, lower_is_better)
    shared = {(place.slot, place.depth) for place in places if place.row}  # columns of more than one
    marks = []
    for index, (node, place, (x, y), share) in enumerate(zip(nodes, places, spots, shares, strict=True)):
        path = ""
        if place.parent is not None:
            hangs = _SIDE if (place.slot, place.depth) in shared else 0.0
            path = _branch(spots[place.parent], (x, y - place.row * _ROW), y, hangs)
        dark = share is not None and share > _DARK
        marks.append(Mark(index, x, y, _fill(share), index == best, _label(node), node.step, dark, path))
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
    ticks = nice_ticks(finite)
    low, high = ticks[0], ticks[-1]
    floor = CURVE_HEIGHT - 24.0
    across = (CURVE_WIDTH - MARGIN - 12.0) / max(len(nodes) - 1, 1)

    def x(index: int) -> float:
        return MARGIN + index * across

    def y(value: float) -> float:
        return 20.0 + (high - value) / (high - low) * (floor - 38.0)

    shares, bests = _shares(nodes, lower_is_better), best_so_far(nodes, lower_is_better)
    heights = [floor if value is None else y(value) for value in values]
    marks = [
        Mark(index, x(index), height, _fill(shares[index]), index == bests[-1], _label(nodes[index]), nodes[index].step)
        for index, height in enumerate(heights)
    ]
    line = [(x(index), y(values[best] or 0.0)) for index, best in enumerate(bests) if best is not None]
    return Curve(
        marks,
        _steps(line),
        [(x(index), str(nodes[index].step)) for index in _spread(len(nodes))],
        [(y(value), f"{value:.6g}") for value in ticks] if finite else [],
    )


def _shares(nodes: Sequence[Node], lower_is_better: bool) -> list[float | None]:
    """Of each good node how good it is among all, from 0 (worst) to 1 (best)."""
    values = [fitness(node) for node in nodes]
    low, high = _range([value for value in values if value is not None])
    shares = [None if value is None else (value - low) / (high - low) for value in values]
    return [None if share is None else 1 - share if lower_is_better else share for share in shares]


def _fill(share: float | None) -> str | None:
    """The colour of a node, darker for better ones."""
    return None if share is None else colour(share)


def nice_ticks(values: Sequence[float], most: int = 5) -> list[float]:
    """Round numbers at equal distances that enclose values, two at least; of shares within 0 and 1."""
    low, high = min(values, default=0.0), max(values, default=1.0)
    if high <= low:
        low, high = low - 0.02 * (abs(low) or 1.0), high + 0.02 * (abs(high) or 1.0)
    rough = (high - low) / (most - 1)
    if rough <= 1e-300:  # too near to 0 to be told from it
        return [0.0 if low >= 0 else -1.0, 1.0]
    if rough >= 1e300:
        return [low, high]
    size = 10.0 ** math.floor(math.log10(rough))
    step = next(size * factor for factor in (1, 2, 2.5, 5, 10) if size * factor >= rough)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    if values and min(values) >= 0 and max(values) <= 1:
        first, last = max(first, 0), min(last, math.floor(1 / step + 1e-9))
    return [float(f"{place * step:.12g}") for place in range(first, max(last, first + 1) + 1)]


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


def _branch(start: tuple[float, float], top: tuple[float, float], end: float, beside: float) -> str:
    """From a parent down to a node; to one in a column of several along the column's side, so that it is no chain."""
    middle, x = (start[1] + top[1]) / 2, top[0] - beside
    across = f"V{end:g}H{round(top[0], 1):g}" if beside else ""
    return f"M{_xy(*start)}C{_xy(start[0], middle)} {_xy(x, middle)} {_xy(x, top[1])}{across}"


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
