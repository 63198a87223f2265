"""What a node changed: its program beside its parent's, and beside that of the best node before it."""

import difflib
from collections.abc import Sequence

from aira_lib.agents import best_node
from aira_lib.records import Node

MOST_LINES = 2_000
"""Of a program that is compared: longer ones take seconds."""


def difference(before: str, after: str) -> str:
    """A unified diff of two programs, without file names; one line in its place where they are equal or too long."""
    old, new = before.splitlines(), after.splitlines()
    if max(len(old), len(new)) > MOST_LINES:
        return f"(not shown: more than {MOST_LINES} lines)"
    lines = list(difflib.unified_diff(old, new, lineterm="", n=3))
    return "\n".join(lines[2:]) if lines else "(no change)"  # the first two name files, and there are none


def since_parent(nodes: Sequence[Node], index: int) -> str | None:
    """The change to a node's first parent; None for one without."""
    parents = nodes[index].parents
    parent = next((node for node in nodes[:index] if parents and node.id == parents[0]), None)
    return None if parent is None else difference(parent.code, nodes[index].code)


def since_best(nodes: Sequence[Node], index: int, lower_is_better: bool) -> str | None:
    """The change to the best node before it; None where there was none."""
    best = best_node(nodes[:index], lower_is_better)
    return None if best is None else difference(best.code, nodes[index].code)
