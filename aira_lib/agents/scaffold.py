"""What to do next: the scaffolds' policies, pure functions of the nodes so far, the seed and the step.

A step's random numbers come from (seed, step) alone. So a resumed search needs no saved state: the same nodes give
the same next step.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from aira_lib.records import Node
from aira_lib.spec import AgentSection

Operator = Literal["draft", "improve", "debug"]


@dataclass(frozen=True)
class Step:
    """The next candidate: which operator makes it, and of which nodes."""

    operator: Operator
    parents: tuple[str, ...] = ()


def step_rng(seed: int, step: int) -> np.random.Generator:
    """The random numbers of one step."""
    return np.random.default_rng([seed % 2**63, step])


def total_steps(agent: AgentSection) -> int:
    """How many steps a search has: one for the one-shot scaffold."""
    return 1 if agent.scaffold == "one-shot" else agent.steps


def is_good(node: Node) -> bool:
    """A node that may be improved: it did not fail and its validation fitness is a finite number."""
    return node.status == "ok" and node.validation is not None and math.isfinite(node.validation)


def best_node(nodes: Sequence[Node], lower_is_better: bool = False) -> Node | None:
    """The good node with the best validation fitness, the earliest of equals; None if there is none."""
    sign = 1.0 if lower_is_better else -1.0
    good = [node for node in nodes if is_good(node)]
    return min(good, key=lambda node: (sign * (node.validation or 0.0), node.step), default=None)


def next_step(
    nodes: Sequence[Node], agent: AgentSection, rng: np.random.Generator, lower_is_better: bool = False
) -> Step:
    """Decide the next step as AIRA-dojo's greedy policy does (without its root node, which miscounts drafts).

    In order: drafts until there are `n_drafts`; with `debug_probability` the repair of a random failed node that has
    no children and is at most `max_debug_depth` repairs deep; an improvement of the best node by validation fitness;
    another draft when nothing can be improved. One-shot drafts, always.
    """
    if agent.scaffold == "one-shot":
        return Step("draft")
    if sum(node.operator == "draft" for node in nodes) < agent.n_drafts:
        return Step("draft")
    if rng.random() < agent.debug_probability and (broken := debuggable(nodes, agent.max_debug_depth)):
        return Step("debug", (broken[int(rng.integers(len(broken)))].id,))
    best = best_node(nodes, lower_is_better)
    return Step("improve", (best.id,)) if best else Step("draft")


def debuggable(nodes: Sequence[Node], max_debug_depth: int) -> list[Node]:
    """Failed nodes without children that are not too deep in a chain of repairs."""
    have_children = {parent for node in nodes for parent in node.parents}
    return [
        node
        for node in nodes
        if not is_good(node) and node.id not in have_children and node.debug_depth <= max_debug_depth
    ]
