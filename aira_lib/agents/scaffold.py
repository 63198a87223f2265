"""What to do next: the scaffolds, each a pure function of the nodes so far, its settings and a step's random numbers.

A step's random numbers come from (seed, step) alone. So a resumed search needs no saved state: the same nodes give
the same next step. A scaffold of one's own is a function like these and an entry in `SCAFFOLDS`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np

from aira_lib.agents.evolution import evolutionary
from aira_lib.agents.step import Step, baseline_of, best_node, debuggable
from aira_lib.agents.tree import tree
from aira_lib.records import Node
from aira_lib.study.agent import AgentSection, ScaffoldName


class Scaffold(Protocol):
    """A policy. Failed nodes and fitness that is not finite are never improved; `nodes` are in the order of steps."""

    def __call__(
        self, nodes: Sequence[Node], agent: AgentSection, rng: np.random.Generator, lower_is_better: bool = False
    ) -> Step:
        """Decide the next step."""


def one_shot(
    nodes: Sequence[Node], agent: AgentSection, rng: np.random.Generator, lower_is_better: bool = False
) -> Step:
    """Draft, always."""
    return Step("draft")


def sampling(
    nodes: Sequence[Node], agent: AgentSection, rng: np.random.Generator, lower_is_better: bool = False
) -> Step:
    """Draft at every step: repeated sampling of a language model, and the scaffold of baselines."""
    return Step("draft")


def greedy(nodes: Sequence[Node], agent: AgentSection, rng: np.random.Generator, lower_is_better: bool = False) -> Step:
    """AIRA-dojo's greedy policy (without its root node, which miscounts drafts).

    In order: drafts until there are `n_drafts`; with `debug_probability` the repair of a random failed node that has
    no children and is at most `max_debug_depth` repairs deep; an improvement of the best node by validation fitness;
    another draft when nothing can be improved. Where there is a noise floor, the best node is the baseline until a node
    is better than that by more than the floor.
    """
    if sum(node.operator == "draft" for node in nodes) < agent.n_drafts:
        return Step("draft")
    if rng.random() < agent.debug_probability and (broken := debuggable(nodes, agent.max_debug_depth)):
        return Step("debug", (broken[int(rng.integers(len(broken)))].id,))
    best = best_node(nodes, lower_is_better)
    return Step("improve", (best.id,)) if best else Step("draft")


SCAFFOLDS: Mapping[ScaffoldName, Scaffold] = {
    "one-shot": one_shot,
    "sampling": sampling,
    "greedy": greedy,
    "tree": tree,
    "evolutionary": evolutionary,
}


def next_step(
    nodes: Sequence[Node], agent: AgentSection, rng: np.random.Generator, lower_is_better: bool = False
) -> Step:
    """Decide the next step as the agent's scaffold does. With `edit: patch` a draft is an edit of the baseline."""
    step = SCAFFOLDS[agent.scaffold](nodes, agent, rng, lower_is_better)
    origin = baseline_of(nodes)
    if step.operator == "draft" and agent.edit == "patch" and origin is not None:
        return replace(step, parents=(origin.id,))
    return step


def total_steps(agent: AgentSection, nodes: Sequence[Node] = ()) -> int:
    """How many steps a search has: one for the one-shot scaffold, and one more of the baseline where it was scored."""
    return (1 if agent.scaffold == "one-shot" else agent.steps) + (baseline_of(nodes) is not None)
