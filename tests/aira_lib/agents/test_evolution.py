import math
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aira_lib.agents.evolution import choose, populations
from aira_lib.agents.step import attempts, is_good, step_rng
from aira_lib.records import Node
from aira_lib.study.agent import AgentSection, EvolutionSettings
from tests.aira_lib.agents.test_scaffold import HISTORIES, grown
from tests.builders import node


def agent(debug_probability: float = 1.0, **settings: Any) -> AgentSection:
    return AgentSection(
        scaffold="evolutionary", debug_probability=debug_probability, max_debug_depth=1,
        evolution=EvolutionSettings(**settings),
    )  # fmt: skip


def living_by_hand(nodes: list[Node], island: int, size: int) -> list[str]:
    """A population from its definition, its mean computed anew for each arrival."""
    living: list[Node] = []
    for attempt in attempts(nodes):
        child = attempt.last
        if child.island != island or not is_good(child) or child.design in [other.design for other in living]:
            continue
        values = [other.validation or 0.0 for other in living]
        if attempt.first.operator == "draft" or not living or (child.validation or 0.0) >= sum(values) / len(values):
            living.append(child)
        if len(living) > size:
            living.remove(min(living, key=lambda other: (other.validation or 0.0, -other.step)))
    return [other.id for other in living]


HUNDREDTHS = st.lists(st.one_of(st.none(), st.just(math.nan), st.integers(0, 64).map(lambda i: i / 64)), max_size=40)


@given(HUNDREDTHS, st.integers(1, 3), st.integers(1, 6), st.integers(0, 3))
def test_populations_are_as_by_hand(outcomes: list[float | None], islands: int, size: int, seed: int) -> None:
    settings = agent(islands=islands, island_size=size, individuals=2, crossover_after=1)
    nodes = grown(outcomes, settings, seed)
    found = populations(attempts(nodes), settings.evolution, False)
    for island, living in enumerate(found):
        assert [other.id for other in living] == living_by_hand(nodes, island, size)


@given(HISTORIES, st.integers(1, 4), st.integers(1, 4), st.integers(1, 3))
def test_islands_take_turns_and_generations_begin_with_drafts(
    outcomes: list[float | None], islands: int, individuals: int, after: int
) -> None:
    settings = agent(islands=islands, individuals=individuals, crossover_after=after, crossover_probability=1.0)
    made = attempts(grown(outcomes, settings))
    assert [attempt.first.island for attempt in made] == [i % islands for i in range(len(made))]
    for i, attempt in enumerate(made):
        turn = i // islands
        assert attempt.first.operator == "draft" or turn >= individuals
        assert attempt.first.operator != "crossover" or turn >= individuals * after
        assert all(repair.island == attempt.first.island for repair in attempt.nodes)


@pytest.mark.parametrize("migration", [0.0, 1.0])
def test_parents_come_from_abroad_with_migration_alone(migration: float) -> None:
    settings = agent(islands=2, individuals=1, crossover_after=1, migration_probability=migration)
    nodes = grown([0.5] * 40, settings)
    home = {other.id: other.island for other in nodes}
    for child in nodes:
        if child.operator == "improve":
            assert (home[child.parents[0]] != child.island) == (migration == 1.0)
        if child.operator == "crossover":
            assert home[child.parents[0]] == child.island
            assert (home[child.parents[1]] != child.island) == (migration == 1.0)
    assert {"improve", "crossover"} <= {child.operator for child in nodes}


@pytest.mark.parametrize(("probability", "expected"), [(0.0, {"improve"}), (1.0, {"crossover"})])
def test_crossover_probability(probability: float, expected: set[str]) -> None:
    settings = agent(individuals=2, crossover_after=1, crossover_probability=probability)
    assert {child.operator for child in grown([0.5] * 30, settings)[2:]} == expected


def test_a_crossover_needs_two_designs() -> None:
    lone = grown([0.5, 0.1, 0.1, 0.1, 0.1], agent(individuals=1, crossover_after=1, crossover_probability=1.0))
    assert [child.operator for child in lone] == ["draft", "improve", "improve", "improve", "improve"]


def test_softmax_has_its_probabilities() -> None:
    living = [node(i, f"{i + 1}A", value) for i, value in enumerate((0.2, 0.6, 1.0))]
    settings = EvolutionSettings(temperature=0.5)
    drawn = Counter(choose(living, settings, step_rng(1, i), False).step for i in range(4000))
    weights = [math.exp(q / 0.5) for q in (0.0, 0.5, 1.0)]
    for step, weight in enumerate(weights):
        assert drawn[step] / 4000 == pytest.approx(weight / sum(weights), abs=0.03)


def test_a_tournament_has_its_probabilities_and_knows_the_direction() -> None:
    living = [node(i, f"{i + 1}A", value) for i, value in enumerate((0.2, 0.6, 1.0))]
    settings = EvolutionSettings(parents="tournament", tournament_size=2)
    for lower, best in ((False, 2), (True, 0)):
        drawn = Counter(choose(living, settings, step_rng(1, i), lower).step for i in range(4000))
        assert drawn[best] / 4000 == pytest.approx(5 / 9, abs=0.03)
        assert drawn[1] / 4000 == pytest.approx(3 / 9, abs=0.03)


@pytest.mark.parametrize("values", [(0.1, 0.1, 0.1), (1e308, -1e308, 0.0), (5e-324, 0.0, 0.0)])
@pytest.mark.parametrize("parents", ["softmax", "tournament"])
def test_any_finite_fitness_can_be_drawn_from(values: tuple[float, ...], parents: Any) -> None:
    living = [node(i, f"{i + 1}A", value) for i, value in enumerate(values)]
    for seed in range(20):
        assert choose(living, EvolutionSettings(parents=parents), step_rng(seed, 0), False) in living


def test_a_child_as_good_as_all_others_joins() -> None:
    # 0.1 + 0.1 + 0.1 is more than 3 x 0.1 in floating point.
    settings = agent(individuals=3, crossover_probability=0.0)
    nodes = grown([0.1] * 12, settings)
    assert len(populations(attempts(nodes), settings.evolution, False)[0]) == 12
