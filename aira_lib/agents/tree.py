"""Tree search with UCT, after AIRA-dojo's (its root, visit counts and random state are derived here, never stored).

A vertex of the tree is an attempt: a draft (below the root) or an improvement, with its repairs. One is expanded
until it has `num_children` children; then the search descends from the root, at each full vertex to the child with
the highest UCT = Q + c sqrt(ln N(parent) / N(child)). N counts a vertex and all below it; Q is their mean fitness,
min-max-normalised over the whole search, where failures count as 0 and are visited but never descended into.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from aira_lib.agents.step import Attempt, Step, attempts, fitness, is_good, repair_of_last, tried
from aira_lib.records import Node
from aira_lib.study.agent import AgentSection


@dataclass
class Vertex:
    """A vertex with what was back-propagated to it. `attempt` and `parent` are None for the root alone.

    Attributes:
        visits: Attempts at and below it (N).
        value: The sum of their normalised fitness (N times Q).
    """

    attempt: Attempt | None = None
    parent: "Vertex | None" = None
    children: list["Vertex"] = field(default_factory=list)
    visits: int = 0
    value: float = 0.0

    @property
    def good(self) -> bool:
        """Whether it can be improved."""
        return self.attempt is not None and is_good(self.attempt.last)


def tree(nodes: Sequence[Node], agent: AgentSection, rng: np.random.Generator, lower_is_better: bool = False) -> Step:
    """Decide the next step: mend the last node, finish the expansion under way, or expand where UCT leads."""
    if step := repair_of_last(nodes, agent, rng):
        return step
    root, last = grow(nodes, lower_is_better)
    place = last.parent if last is not None else root
    if place is None or len(place.children) >= agent.tree.num_children:
        place = select(root, agent.tree.num_children, agent.tree.uct_c)
    return Step("improve", (place.attempt.last.id,)) if place.attempt else Step("draft")


def grow(nodes: Sequence[Node], lower_is_better: bool) -> tuple[Vertex, Vertex | None]:
    """Build the tree with its statistics from the nodes. Returns the root and the vertex that was begun last."""
    root, last = Vertex(), None
    of_node: dict[str, Vertex] = {}
    good = [fitness(node, lower_is_better) for node in tried(nodes) if is_good(node)]
    low, high = (min(good), max(good)) if good else (0.0, 0.0)
    for attempt in attempts(nodes):
        parent = root if attempt.first.operator == "draft" else of_node[attempt.first.parents[0]]
        last = Vertex(attempt, parent)
        parent.children.append(last)
        of_node |= {node.id: last for node in attempt.nodes}
        value = _normalised(fitness(attempt.last, lower_is_better), low, high) if last.good else 0.0
        _propagate(last, value)
    return root, last


def select(root: Vertex, num_children: int, uct_c: float) -> Vertex:
    """Descend to the first vertex that is to be expanded: one not full, or one whose children all failed."""
    place = root
    while len(place.children) >= num_children and (alive := [child for child in place.children if child.good]):
        visits = place.visits
        place = max(alive, key=lambda child: uct(child, visits, uct_c))  # the earliest of equals
    return place


def uct(child: Vertex, parent_visits: int, uct_c: float) -> float:
    """Upper confidence bound of a child; every child has been visited at least once, by its own attempt."""
    return child.value / child.visits + uct_c * math.sqrt(math.log(parent_visits) / child.visits)


def _propagate(vertex: Vertex, value: float) -> None:
    place: Vertex | None = vertex
    while place is not None:
        place.visits += 1
        place.value += value
        place = place.parent


def _normalised(value: float, low: float, high: float) -> float:
    """Between 0 (the worst) and 1 (the best of the search); one half while all are equal, still above a failure.

    Halves, so that the difference of the largest floats does not overflow.
    """
    return (value / 2 - low / 2) / (high / 2 - low / 2) if high / 2 > low / 2 else 0.5
