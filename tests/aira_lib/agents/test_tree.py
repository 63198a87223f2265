import itertools
import math
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aira_lib.agents import next_step
from aira_lib.agents.step import is_good, step_rng
from aira_lib.agents.tree import grow
from aira_lib.records import Node
from aira_lib.study.agent import AgentSection, TreeSettings
from tests.aira_lib.agents.test_scaffold import FITNESS, HISTORIES, grown


def uct_by_hand(nodes: Sequence[Node], num_children: int, c: float, lower: bool) -> str | None:
    """The node to expand after the last expansion is full, by walking every node's ancestry; plain and slow."""
    by_id = {node.id: node for node in nodes}

    def start(node: Node) -> Node:
        while node.operator == "debug":
            node = by_id[node.parents[0]]
        return node

    def above(node: Node) -> str | None:
        node = start(node)
        return start(by_id[node.parents[0]]).id if node.parents else None

    begun = [node for node in nodes if node.operator != "debug"]
    end = {start(node).id: node for node in nodes}
    good = [node.validation or 0.0 for node in nodes if is_good(node)]

    def quality(node: Node) -> float:
        node = end[node.id]
        if not is_good(node):
            return 0.0
        if max(good) == min(good):
            return 0.5
        share = ((node.validation or 0.0) - min(good)) / (max(good) - min(good))
        return 1 - share if lower else share

    def below(name: str | None) -> list[Node]:
        children = [node for node in begun if above(node) == name]
        return [found for child in children for found in (child, *below(child.id))]

    place: str | None = None
    while True:
        children = [node for node in begun if above(node) == place]
        alive = [node for node in children if is_good(end[node.id])]
        if len(children) < num_children or not alive:
            return end[place].id if place else None
        visits = len(below(place)) + (place is not None)
        scores = {}
        for child in alive:
            whole = [child, *below(child.id)]
            mean = sum(quality(node) for node in whole) / len(whole)
            scores[child.id] = mean + c * math.sqrt(math.log(visits) / len(whole))
        best = max(scores.values())
        place = next(name for name, score in scores.items() if math.isclose(score, best, rel_tol=1e-9, abs_tol=1e-12))


# Distinct whole numbers: equal sums in another order must not decide a tie.
DISTINCT = st.lists(st.one_of(st.none(), st.just(math.nan), st.integers(0, 10**6)), max_size=40, unique=True)


@given(DISTINCT, st.integers(1, 3), st.sampled_from([0.0, 0.25, 2.0]), st.booleans())
def test_uct_descends_as_by_hand(outcomes: list[float | None], num_children: int, c: float, lower: bool) -> None:
    agent = AgentSection(scaffold="tree", tree=TreeSettings(num_children=num_children, uct_c=c), max_debug_depth=1)
    nodes = grown(outcomes, agent, lower_is_better=lower)
    for node in nodes:
        before = nodes[: node.step]
        if node.operator == "debug" or not before:
            continue
        _, last = grow(before, lower)
        assert last is not None
        assert last.parent is not None
        if len(last.parent.children) < num_children:
            expected = last.parent.attempt.last.id if last.parent.attempt else None
        else:
            expected = uct_by_hand(before, num_children, c, lower)
        assert node.parents == ((expected,) if expected else ())


@given(HISTORIES)
def test_statistics_add_up(outcomes: list[float | None]) -> None:
    nodes = grown(outcomes, AgentSection(scaffold="tree", tree=TreeSettings(num_children=2)))
    root, _ = grow(nodes, False)
    assert root.visits == sum(node.operator != "debug" for node in nodes)
    stack = [root]
    while stack:
        vertex = stack.pop()
        assert vertex.visits == (vertex.attempt is not None) + sum(child.visits for child in vertex.children)
        assert -1e-9 <= vertex.value <= vertex.visits + 1e-9
        stack += vertex.children


def test_five_drafts_then_five_children_of_the_best_then_below_the_best_of_those() -> None:
    agent = AgentSection(scaffold="tree")
    nodes = grown([0.1, 0.2, 0.9, 0.3, 0.4, 0.5, 0.6, 1.0, 0.95, 0.97, 0.2], agent)
    assert [node.operator for node in nodes] == ["draft"] * 5 + ["improve"] * 6
    assert [node.parents for node in nodes[5:10]] == [("n2",)] * 5
    assert nodes[10].parents == ("n7",)


def test_a_large_constant_explores_and_none_exploits() -> None:
    outcomes = [1.0, 0.0, 0.99, 0.98, 0.97, 0.96]

    def places(c: float) -> list[tuple[str, ...]]:
        agent = AgentSection(scaffold="tree", tree=TreeSettings(num_children=2, uct_c=c))
        return [node.parents for node in grown(outcomes, agent)][2:]

    assert ("n1",) not in places(0.0)
    assert places(100.0)[2] == ("n1",)


@pytest.mark.parametrize("broken", [None, math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("lower", [False, True])
def test_a_full_vertex_whose_children_all_failed_gets_another(broken: float | None, lower: bool) -> None:
    agent = AgentSection(scaffold="tree", debug_probability=0.0, tree=TreeSettings(num_children=2))
    nodes = grown([broken] * 5, agent, lower_is_better=lower)
    assert [node.operator for node in nodes] == ["draft"] * 5
    nodes = grown([0.5, broken, broken, broken, broken], agent, lower_is_better=lower)
    assert [node.parents for node in nodes[2:]] == [("n0",)] * 3


@given(st.lists(FITNESS, min_size=1, max_size=30))
def test_only_the_last_node_is_mended_and_at_once(outcomes: list[float | None]) -> None:
    nodes = grown(outcomes, AgentSection(scaffold="tree", max_debug_depth=2))
    for before, node in itertools.pairwise(nodes):
        mend = not is_good(before) and before.debug_depth <= 2
        assert (node.operator == "debug") == mend
        assert not mend or node.parents == (before.id,)


def test_five_hundred_nodes_are_decided_on() -> None:
    agent = AgentSection(scaffold="tree")
    nodes = grown([(i * 37 % 101) / 101 for i in range(500)], agent)
    assert next_step(nodes, agent, step_rng(0, 500)).operator == "improve"
