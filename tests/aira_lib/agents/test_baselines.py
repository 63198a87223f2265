"""The baselines: better than random where there is something to learn, resumable, without repeats."""

import itertools
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from aira_lib.agents import model_named, parse_reply
from aira_lib.agents.baselines import baseline_named
from aira_lib.agents.baselines.baseline import History
from aira_lib.agents.baselines.bayesian import with_worst
from aira_lib.agents.baselines.rounds import TRIALS_A_ROUND, end_layer, middle_layer, one_shot
from aira_lib.agents.baselines.space import Space
from aira_lib.agents.prompt import Prompt, Situation, render_prompt
from aira_lib.architecture.pattern import Layers, parse, render
from aira_lib.errors import UserError
from aira_lib.records import Node
from aira_lib.search.stage import search
from aira_lib.study import CandidateLimits
from aira_lib.study.agent import AgentSection
from aira_lib.study.model_traits import BASELINES
from aira_lib.tasks.submission import read_submission
from aira_lib.tasks.task import task_named
from tests.aira_lib.search.cheap_searches import PROXY, TASK, Proxy, nodes_of, without_seconds
from tests.builders import node, work_in

ALL = ("A", "M", "Mb")
TASK_3 = "NeuralArchitectureSearchMAD3PrimitivesMbAccuracy"


def separable(seed: int, n_layers: int = 8) -> Callable[[Layers], float]:
    """A fitness that is a sum over layers."""
    weights = np.random.default_rng(seed).normal(size=(n_layers, len(ALL)))
    return lambda design: float(sum(weights[i, ALL.index(layer)] for i, layer in enumerate(design)))


def searched(
    name: str,
    fitness: Callable[[Layers], float | None],
    steps: int,
    seed: int,
    n_layers: int = 8,
    primitives: tuple[str, ...] = ALL,
) -> History:
    baseline, history = baseline_named(name), History(primitives, n_layers)
    for step in range(steps):
        design, _ = baseline.propose(history, np.random.default_rng([seed, step]))
        history = replace(history, designs=(*history.designs, design), fitness=(*history.fitness, fitness(design)))
    return history


def best(history: History) -> float:
    return max(fitness for _, fitness in history.scored())


def bests(name: str, steps: int, seeds: int) -> list[float]:
    return [best(searched(name, separable(seed), steps, seed)) for seed in range(seeds)]


def test_regularised_evolution_finds_better_designs_than_random() -> None:
    assert np.mean(bests("regularised-evolution", 60, 12)) > np.mean(bests("random", 60, 12)) + 0.3


def test_bayesian_optimisation_finds_better_designs_than_random_with_half_the_evaluations() -> None:
    assert np.mean(bests("bo-one-shot", 20, 2)) > np.mean(bests("random", 40, 2))


def test_random_search_draws_every_design_equally_often() -> None:
    fitness = separable(0, 2)
    first = [searched("random", fitness, 3, seed, 2).designs for seed in range(1500)]
    for place in range(3):
        counts = [sum(designs[place] == design for designs in first) for design in itertools.product(ALL, repeat=2)]
        assert sum(counts) == 1500
        assert all(abs(count - 1500 / 9) < 5 * math.sqrt(1500 / 9) for count in counts)


@pytest.mark.parametrize(
    "name", ["random", "regularised-evolution:3", "bo-one-shot", "bo-end-layer:1", "bo-middle-layer:2"]
)
def test_nothing_is_evaluated_twice_until_everything_was(name: str) -> None:
    history = searched(name, separable(1, 4), 16, seed=2, n_layers=4, primitives=("A", "M"))
    assert sorted(history.designs) == sorted(itertools.product(("A", "M"), repeat=4))
    again, _ = baseline_named(name).propose(history, np.random.default_rng(0))
    assert len(again) == 4


def test_a_child_is_one_mutation_from_a_living_design_and_the_old_have_died() -> None:
    history = searched("regularised-evolution:6", lambda d: -abs(d.count("A") - 4), 40, seed=3)
    for step in range(6, 40):
        distances = [
            sum(a != b for a, b in zip(old, history.designs[step], strict=True)) for old in history.designs[:step]
        ]
        assert min(distances[step - 6 : step]) == 1


def test_failed_designs_never_enter_the_population() -> None:
    fitness = lambda design: None if design[0] == "Mb" else float(design.count("A"))  # noqa: E731
    history = searched("regularised-evolution:5", fitness, 60, seed=4)
    scored = 0
    for step, design in enumerate(history.designs):
        if scored >= 5:
            alive = [old for old, fit in zip(history.designs[:step], history.fitness, strict=False) if fit is not None][
                -5:
            ]
            assert min(sum(a != b for a, b in zip(old, design, strict=True)) for old in alive) == 1
        scored += history.fitness[step] is not None
    assert any(fitness is None for fitness in history.fitness)


def test_a_failed_design_counts_as_the_worst_for_the_surrogate() -> None:
    history = History(ALL, 1, (("A",), ("M",), ("Mb",)), (0.4, None, 0.7))
    assert with_worst(history) == [0.4, 0.4, 0.7]


# --- Composer's modes ------------------------------------------------------------------------------------------------


def test_a_word_is_repeated_between_what_is_settled() -> None:
    space = Space(ALL, 8, 2, prefix=("A", "A"), suffix=("Mb",))
    assert space.design(("M", "Mb")) == parse("2A-M-Mb-M-Mb-M-Mb")
    assert space.word(parse("2A-M-Mb-M-Mb-M-Mb")) == ("M", "Mb")
    assert space.word(parse("2A-M-Mb-M-Mb-2Mb")) is None
    assert space.word(parse("A-2M-Mb-M-Mb-M-Mb")) is None


@pytest.mark.parametrize("mode", [end_layer(2), middle_layer(2)], ids=["end", "middle"])
def test_rounds_settle_the_best_so_far_and_keep_it_within_reach(mode: Callable[[History], Space]) -> None:
    fitness, history, spaces = separable(5), History(ALL, 8), list[Space]()
    rng = np.random.default_rng(0)
    while (space := mode(history)) != one_shot(history):
        if not spaces or space != spaces[-1]:
            spaces.append(space)
            if history.designs:
                # The best that the rounds before could reach is one of this round's designs.
                reached = [f for d, f in history.scored() if spaces[-2].word(d)]
                assert max(f for d, f in history.scored() if space.word(d)) == max(reached)
        word = space.fresh(set(history.designs), rng)
        assert word is not None
        assert len(word) == 2
        design = space.design(word)
        history = History(ALL, 8, (*history.designs, design), (*history.fitness, fitness(design)))
    assert [len(space.prefix) + len(space.suffix) for space in spaces] == [0, 2, 4, 6]
    assert len(history.designs) == 9 + 3 * 8 <= 4 * TRIALS_A_ROUND
    if spaces[-1].suffix:
        assert [(len(space.prefix), len(space.suffix)) for space in spaces] == [(0, 0), (1, 1), (2, 2), (3, 3)]


def test_a_round_without_a_scored_design_is_not_over() -> None:
    designs = tuple(itertools.product(ALL, repeat=2))
    history = History(ALL, 2, designs[:3], (None, None, None))
    assert end_layer(1)(history).prefix == ()


# --- as models -------------------------------------------------------------------------------------------------------


def prompt_of(nodes: list[Node], lower_is_better: bool = False) -> Prompt:
    situation = Situation(
        "A task.", ALL, 4, "No data.", CandidateLimits(), 2, 100.0, 10, lower_is_better, memory="none"
    )
    return render_prompt("draft", situation, nodes, None)


def test_a_reply_holds_a_program_whose_submission_is_valid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    reply = model_named("random").reply(prompt_of([]), 3)
    exec(parse_reply(reply.text, "submission.csv").code)
    assert len(read_submission((tmp_path / "submission.csv").read_bytes(), task_named(TASK_3), 4)) == 4
    assert model_named("random").reply(prompt_of([]), 3) == reply


def test_observations_have_all_designs_a_sign_and_no_test_fitness() -> None:
    nodes = [
        node(i, render(design), 0.1 + i / 1000, test=0.48151623)
        for i, design in enumerate(itertools.islice(itertools.product(ALL, repeat=4), 60))
    ]
    nodes += [node(60, "4Mb", None), node(61, None, None)]
    prompt = prompt_of(nodes, lower_is_better=True)
    seen = History.of(prompt)
    assert len(seen.designs) == 61
    assert (seen.fitness[0], seen.fitness[60]) == (-0.1, None)
    assert "0.4815" not in repr(prompt.observations)


@pytest.mark.parametrize(("model", "steps"), [("regularised-evolution:3", 7), ("bo-middle-layer:2", 15)])
def test_interrupted_a_baseline_goes_on_as_if_it_had_not_been(model: str, steps: int, tmp_path: Path) -> None:
    agent = AgentSection(model=model, steps=steps, limits=CandidateLimits(seconds=30, memory_mb=256))
    whole = work_in(tmp_path / "whole")
    search(TASK, PROXY, agent, 7, whole, Proxy())
    expected = nodes_of(whole.path)
    assert {n.operator for n in expected} == {"draft"}
    assert len({n.design for n in expected}) == steps
    assert ("qLogNEI" in expected[-1].plan) == model.startswith("bo")
    lines = (whole.path / "journal.jsonl").read_bytes().splitlines(keepends=True)
    work = work_in(tmp_path / "cut")
    (work.path / "journal.jsonl").write_bytes(b"".join(lines[:-2]) + lines[-2][:40])
    search(TASK, PROXY, agent, 7, work, Proxy())
    assert without_seconds(nodes_of(work.path)) == without_seconds(expected)


def test_a_baseline_has_a_scaffold_and_a_name_of_its_own() -> None:
    agent = AgentSection(model="bo-end-layer:2")
    assert (agent.scaffold, agent.name) == ("sampling", "bo-end-layer-2")
    with pytest.raises(ValueError, match="needs scaffold sampling"):
        AgentSection(model="random", scaffold="tree")


def test_names_of_baselines() -> None:
    assert [model_named(name).name for name in BASELINES] == list(BASELINES)
    for wrong in ("random:3", "bo-end-layer:", "bo-end-layer:0", "regularised-evolution:x", "bo-middle-layer:²"):
        with pytest.raises(UserError, match="number") as caught:
            model_named(wrong)
        assert "\n" not in str(caught.value)
