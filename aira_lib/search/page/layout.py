"""Where the nodes of a search stand when it is drawn as a forest: roots on top, steps of one parent left to right.

Children without children of their own stand in short columns, for a good parent has hundreds of them; roots without
any stand side by side, for nothing ties one draft to the next. A parent stands over the left end of what came of it,
and the widest tree to the right: lines stay short, however deep it goes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from aira_lib.records import Node

COLUMN = 8  # childless children in one column
ROW = 24  # childless roots in one row


@dataclass(frozen=True)
class Place:
    """Of one node: horizontal slot, depth (roots 0), row within its column, and the step of its tree parent."""

    slot: int
    depth: int
    row: int
    parent: int | None


def parents_of(nodes: Sequence[Node]) -> list[list[int]]:
    """For each node the indices of its parents; only earlier nodes count, so there are no circles."""
    index: dict[str, int] = {}
    found = []
    for number, node in enumerate(nodes):
        found.append([index[parent] for parent in node.parents if parent in index])
        index.setdefault(node.id, number)
    return found


def forest(nodes: Sequence[Node]) -> list[Place]:
    """The places of all nodes; the first parent of a node is the one it stands under.

    No two nodes share a place, and parents stand above their children.
    """
    above = [parents[0] if parents else None for parents in parents_of(nodes)]
    children: dict[int | None, list[int]] = {}
    for number, parent in enumerate(above):
        children.setdefault(parent, []).append(number)
    widths = _widths(len(nodes), children)
    places: dict[int, Place] = {}
    _place(None, 0, 0, children, widths, places)
    for number in range(len(nodes)):  # parents come before their children
        _place(number, places[number].slot, places[number].depth + 1, children, widths, places)
    return [places[number] for number in range(len(nodes))]


def _widths(count: int, children: dict[int | None, list[int]]) -> list[int]:
    """How many slots the tree below each node takes."""
    widths = [1] * count
    for number in reversed(range(count)):
        widths[number] = max(1, _width(children.get(number, []), children, widths))
    return widths


def _width(siblings: list[int], children: dict[int | None, list[int]], widths: list[int]) -> int:
    childless = sum(number not in children for number in siblings)
    return -(-childless // COLUMN) + sum(widths[number] for number in siblings if number in children)


def _place(
    parent: int | None,
    left: int,
    depth: int,
    children: dict[int | None, list[int]],
    widths: list[int],
    places: dict[int, Place],
) -> None:
    """Place the children of one node (or the roots) from the slot `left` on: columns first, then trees."""
    siblings = children.get(parent, [])
    childless = [number for number in siblings if number not in children]
    for order, number in enumerate(childless):
        column, row = (order % ROW, order // ROW) if parent is None else divmod(order, COLUMN)
        places[number] = Place(left + column, depth, row, parent)
    left += min(len(childless), ROW) if parent is None else -(-len(childless) // COLUMN)
    for number in sorted((number for number in siblings if number in children), key=lambda number: widths[number]):
        places[number] = Place(left, depth, 0, parent)
        left += widths[number]
