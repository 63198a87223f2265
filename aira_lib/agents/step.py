"""What scaffolds share: the step they decide on, which nodes count as good, and attempts with their repairs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from aira_lib.records import Node
from aira_lib.study.agent import AgentSection

Operator = Literal["draft", "improve", "debug", "crossover"]
BASELINE: Literal["baseline"] = "baseline"


@dataclass(frozen=True)
class Step:
    """The next candidate: which operator makes it, of which nodes, and (evolution) on which island."""

    operator: Operator
    parents: tuple[str, ...] = ()
    island: int | None = None


@dataclass
class Attempt:
    """A draft, improvement or crossover with the repairs that followed it: first to last node."""

    nodes: list[Node]

    @property
    def first(self) -> Node:
        """The node that began it; its parents are the attempt's."""
        return self.nodes[0]

    @property
    def last(self) -> Node:
        """The node that counts: the only one, or the last repair."""
        return self.nodes[-1]


def step_rng(seed: int, step: int) -> np.random.Generator:
    """The random numbers of one step."""
    return np.random.default_rng([seed % 2**63, step])


def is_good(node: Node) -> bool:
    """A node that may be improved: it did not fail and its validation fitness is a finite number."""
    return node.good


def fitness(node: Node, lower_is_better: bool) -> float:
    """A good node's validation fitness with a sign such that more is better."""
    validation = node.validation or 0.0
    return -validation if lower_is_better else validation


def best_node(nodes: Sequence[Node], lower_is_better: bool = False) -> Node | None:
    """The node with the best validation fitness of those that rank, the earliest of equals; None if there is none.

    Test fitness never decides.
    """
    ranked = [node for node in nodes if node.ranks]
    return min(ranked, key=lambda node: (-fitness(node, lower_is_better), node.step), default=None)


def baseline_of(nodes: Sequence[Node]) -> Node | None:
    """The step of a search that scored the task's baseline; None where none did."""
    return nodes[0] if nodes and nodes[0].operator == BASELINE else None


def tried(nodes: Sequence[Node]) -> Sequence[Node]:
    """The nodes that an agent made."""
    return nodes[1:] if baseline_of(nodes) else nodes


def debuggable(nodes: Sequence[Node], max_debug_depth: int) -> list[Node]:
    """Failed nodes without children that are not too deep in a chain of repairs."""
    have_children = {parent for node in nodes for parent in node.parents}
    return [
        node
        for node in nodes
        if not is_good(node) and node.id not in have_children and node.debug_depth <= max_debug_depth
    ]


def gain_of(validation: float | None, parents: Sequence[str], nodes: Sequence[Node]) -> float | None:
    """A validation fitness less that of the good node it comes from, through repairs; None where there is not one."""
    by_id = {node.id: node for node in nodes}
    while len(parents) == 1:
        parent = by_id[parents[0]]
        if is_good(parent):
            return None if validation is None else validation - (parent.validation or 0.0)
        parents = parent.parents
    return None


def attempts(nodes: Sequence[Node]) -> list[Attempt]:
    """Group nodes into attempts, in the order in which these began."""
    found: list[Attempt] = []
    of_node: dict[str, Attempt] = {}
    for node in tried(nodes):
        attempt = of_node[node.parents[0]] if node.operator == "debug" else Attempt([])
        if not attempt.nodes:
            found.append(attempt)
        attempt.nodes.append(node)
        of_node[node.id] = attempt
    return found


def repair_of_last(nodes: Sequence[Node], agent: AgentSection, rng: np.random.Generator) -> Step | None:
    """The repair of the last node, with `debug_probability`, if it failed and is not too deep in repairs.

    An attempt is mended at once or given up for good, so that nothing about it has to be remembered.
    """
    wanted = rng.random() < agent.debug_probability
    if not nodes or is_good(nodes[-1]) or nodes[-1].debug_depth > agent.max_debug_depth or not wanted:
        return None
    return Step("debug", (nodes[-1].id,), nodes[-1].island)
