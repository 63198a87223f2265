import math
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aira_lib.agents import best_node, next_step, total_steps
from aira_lib.agents.scaffold import SCAFFOLDS
from aira_lib.agents.step import attempts, debuggable, is_good, step_rng
from aira_lib.records import Node
from aira_lib.study.agent import AgentSection, EvolutionSettings, TreeSettings


def grown(
    outcomes: Sequence[float | None], agent: AgentSection, seed: int = 0, lower_is_better: bool = False
) -> list[Node]:
    """The nodes of a search whose steps come out as given: a fitness, or None for a failure."""
    nodes: list[Node] = []
    for number, fitness in enumerate(outcomes):
        step = next_step(nodes, agent, step_rng(seed, number), lower_is_better)
        parent = next((node for node in nodes if node.id in step.parents), None)
        depth = parent.debug_depth + 1 if step.operator == "debug" and parent else 0
        status = "failed" if fitness is None else "ok"
        nodes.append(
            Node.model_construct(
                step=number, id=f"n{number}", parents=step.parents, operator=step.operator, debug_depth=depth,
                status=status, validation=fitness, island=step.island,
                design=None if fitness is None else f"{number + 1}A",
            )
        )  # fmt: skip
    return nodes


FITNESS = st.one_of(st.none(), st.sampled_from([math.nan, math.inf, -math.inf]), st.floats(0, 1))
HISTORIES = st.lists(FITNESS, max_size=40)
AGENTS = st.builds(
    AgentSection,
    n_drafts=st.integers(1, 6),
    debug_probability=st.sampled_from([0.0, 0.5, 1.0]),
    max_debug_depth=st.integers(0, 4),
)


@given(HISTORIES, AGENTS, st.integers(0, 5))
def test_the_policy_keeps_its_promises(outcomes: list[float | None], agent: AgentSection, seed: int) -> None:
    nodes = grown(outcomes, agent, seed)
    for node in nodes:
        before = nodes[: node.step]
        drafts = sum(other.operator == "draft" for other in before)
        good = [other for other in before if is_good(other)]
        if drafts < agent.n_drafts:
            assert node.operator == "draft"
            continue
        match node.operator:
            case "draft":
                assert not good
            case "improve":
                (parent,) = (other for other in before if other.id in node.parents)
                assert parent in good
                assert all((parent.validation or 0) >= (other.validation or 0) for other in good)
                assert agent.debug_probability < 1 or not debuggable(before, agent.max_debug_depth)
            case "debug":
                (parent,) = (other for other in before if other.id in node.parents)
                assert not is_good(parent)
                assert all(parent.id not in other.parents for other in before)
                assert node.debug_depth == parent.debug_depth + 1 <= agent.max_debug_depth + 1
                assert agent.debug_probability > 0


EVERY_SCAFFOLD = st.builds(
    AgentSection,
    scaffold=st.sampled_from(sorted(SCAFFOLDS)),
    n_drafts=st.integers(1, 6),
    debug_probability=st.sampled_from([0.0, 0.5, 1.0]),
    max_debug_depth=st.integers(0, 4),
    tree=st.builds(TreeSettings, num_children=st.integers(1, 4), uct_c=st.sampled_from([0.0, 0.25, 5.0])),
    evolution=st.builds(
        EvolutionSettings,
        islands=st.integers(1, 3),
        island_size=st.integers(1, 6),
        individuals=st.integers(1, 3),
        crossover_after=st.integers(1, 2),
        migration_probability=st.sampled_from([0.0, 0.5, 1.0]),
        parents=st.sampled_from(["softmax", "tournament"]),
    ),
)


@given(HISTORIES, EVERY_SCAFFOLD, st.integers(0, 39), st.integers(0, 5), st.booleans())
def test_a_step_depends_on_the_nodes_before_it_alone(
    outcomes: list[float | None], agent: AgentSection, cut: int, seed: int, lower: bool
) -> None:
    whole = grown(outcomes, agent, seed, lower)
    # As a resumed search has them: other objects, read back from the journal's text, and no policy that was asked.
    resumed = [Node.model_construct(**node.__dict__) for node in whole[:cut]]
    for number in range(len(resumed), len(outcomes)):
        step = next_step(resumed, agent, step_rng(seed, number), lower)
        assert (step.operator, step.parents, step.island) == (
            whole[number].operator, whole[number].parents, whole[number].island,
        )  # fmt: skip
        resumed.append(whole[number])


@given(HISTORIES, EVERY_SCAFFOLD, st.integers(0, 5), st.booleans())
def test_what_failed_or_is_not_finite_is_mended_or_left_never_improved(
    outcomes: list[float | None], agent: AgentSection, seed: int, lower: bool
) -> None:
    nodes = grown(outcomes, agent, seed, lower)
    by_id = {node.id: node for node in nodes}
    for node in nodes:
        parents = [by_id[name] for name in node.parents]
        assert all(parent.step < node.step for parent in parents)
        assert [is_good(parent) for parent in parents] == {
            "draft": [], "debug": [False], "improve": [True], "crossover": [True, True],
        }[node.operator]  # fmt: skip
        assert len(set(node.parents)) == len(node.parents)
        assert node.debug_depth <= agent.max_debug_depth + 1


def test_attempts_gather_repairs() -> None:
    agent = AgentSection(scaffold="tree", tree=TreeSettings(num_children=2))
    found = attempts(grown([None, None, 0.5, 0.6, None, 0.7], agent))
    assert [[node.id for node in attempt.nodes] for attempt in found] == [["n0", "n1", "n2"], ["n3"], ["n4", "n5"]]


@pytest.mark.parametrize("lower", [False, True])
@given(fitness=HISTORIES)
def test_nan_and_infinity_never_win(lower: bool, fitness: list[float | None]) -> None:
    nodes = [Node.model_construct(step=i, id=str(i), status="ok", validation=value) for i, value in enumerate(fitness)]
    best = best_node(nodes, lower_is_better=lower)
    finite = [value for value in fitness if value is not None and math.isfinite(value)]
    assert (best.validation if best else None) == ((min if lower else max)(finite) if finite else None)


def test_every_debuggable_leaf_is_chosen_at_times() -> None:
    agent = AgentSection(n_drafts=3)
    nodes = grown([None, None, None], agent)
    chosen = {next_step(nodes, agent, step_rng(seed, 3)).parents[0] for seed in range(60)}
    assert chosen == {"n0", "n1", "n2"}


def test_with_probability_one_improvement_waits_until_nothing_can_be_mended() -> None:
    nodes = grown([0.5, None, None, None, None, 0.6, 0.7], AgentSection(n_drafts=2, max_debug_depth=1))
    assert [node.operator for node in nodes] == ["draft", "draft", "debug", "debug", "improve", "debug", "improve"]


def test_one_shot_is_one_draft() -> None:
    agent = AgentSection(scaffold="one-shot", steps=500)
    assert total_steps(agent) == 1
    assert {node.operator for node in grown([None, 0.5], agent)} == {"draft"}


def test_negative_seeds_have_random_numbers_too() -> None:
    assert step_rng(-1, 0).random() != step_rng(1, 0).random()
