import random
from collections.abc import Callable

import pytest

from aira_lib.agents import Situation, best_node, next_step, parse_reply, render_prompt
from aira_lib.agents.moves import PRIORS, cross, draft, mutate
from aira_lib.agents.offline import OfflineAgent
from aira_lib.agents.step import step_rng
from aira_lib.architecture.pattern import Layers, edit_distance, parse, render
from aira_lib.records import Node
from aira_lib.study import AgentSection, CandidateLimits
from tests.builders import node as made_up

THREE = ("A", "M", "Mb")


def situation(layers: int, primitives: tuple[str, ...] = THREE) -> Situation:
    return Situation("task", primitives, layers, "data", CandidateLimits(), 2, 100.0, 10)


def submitted(code: str, monkeypatch: pytest.MonkeyPatch) -> Layers:
    """Run one of our own programs in this process, writing to memory."""
    rows: list[list[str]] = []
    monkeypatch.setattr("csv.writer", lambda file: _Writer(rows))
    monkeypatch.setattr("builtins.open", lambda *args, **kwargs: _Nothing())
    monkeypatch.setattr("builtins.print", lambda *args: None)
    exec(compile(code, "candidate.py", "exec"), {})
    monkeypatch.undo()
    assert rows[0] == ["layer"]
    return tuple(row[0] for row in rows[1:])


class _Nothing:
    def __enter__(self) -> "_Nothing":
        return self

    def __exit__(self, *_: object) -> None:
        return


class _Writer:
    def __init__(self, rows: list[list[str]]) -> None:
        self.writerow, self.writerows = rows.append, rows.extend


def run(
    fitness: Callable[[Layers], float], steps: int, layers: int, seed: int, monkeypatch: pytest.MonkeyPatch,
    agent: AgentSection | None = None, model: OfflineAgent | None = None, primitives: tuple[str, ...] = THREE,
) -> list[Node]:  # fmt: skip
    """A search in miniature, without sandbox and files."""
    agent, model, nodes = agent or AgentSection(), model or OfflineAgent(), list[Node]()
    for number in range(steps):
        rng = step_rng(seed, number)
        step = next_step(nodes, agent, rng)
        parent = next((node for node in nodes if node.id in step.parents), None)
        prompt = render_prompt(step.operator, situation(layers, primitives), nodes, parent)
        parsed = parse_reply(model.reply(prompt, int(rng.integers(2**31))).text)
        design = submitted(parsed.code, monkeypatch)
        good = len(design) == layers and set(design) <= set(primitives)
        nodes.append(
            Node(
                step=number, id=str(number), parents=step.parents, operator=step.operator, plan=parsed.plan,
                code=parsed.code, design=render(design) if good else None, status="ok" if good else "failed",
                reason="" if good else f"{len(design)} layers", validation=fitness(design) if good else None,
                debug_depth=parent.debug_depth + 1 if parent and step.operator == "debug" else 0,
            )
        )  # fmt: skip
    return nodes


def likeness(target: Layers) -> Callable[[Layers], float]:
    return lambda layers: sum(a == b for a, b in zip(layers, target, strict=True)) / len(target)


def test_designs_are_valid_but_for_slips_and_slips_are_mended(monkeypatch: pytest.MonkeyPatch) -> None:
    nodes = run(likeness(tuple("AAAAMMMM")), 150, 8, 3, monkeypatch)
    failed = [node for node in nodes if node.status == "failed"]
    assert 0.02 < len(failed) / len(nodes) < 0.2
    assert all(node.reason in ("7 layers", "9 layers") for node in failed)
    mended = [node for node in nodes if node.operator == "debug"]
    assert mended
    assert all(node.status == "ok" for node in mended)


def test_a_repair_keeps_the_idea(monkeypatch: pytest.MonkeyPatch) -> None:
    nodes = run(likeness(("A",) * 12), 40, 12, 5, monkeypatch, model=OfflineAgent(slip_rate=1.0))
    for node in nodes:
        if node.operator == "debug" and node.design:
            (parent,) = (other for other in nodes if other.id in node.parents)
            slipped = submitted(parent.code, monkeypatch)
            assert edit_distance(slipped, parse(node.design)) <= 2


def test_every_plan_says_what_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    nodes = run(likeness(("A", "M", "Mb", "A")), 40, 4, 0, monkeypatch)
    assert all(node.plan.startswith("[offline agent] ") for node in nodes)


@pytest.mark.parametrize(("layers", "primitives", "space"), [(3, THREE, 27), (5, ("A", "M"), 32), (1, THREE, 3)])
def test_nothing_is_tried_twice_while_there_is_anything_else(
    layers: int, primitives: tuple[str, ...], space: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes = run(
        lambda design: 0.5, space + 2, layers, 1, monkeypatch, model=OfflineAgent(slip_rate=0), primitives=primitives
    )
    designs = [node.design for node in nodes]
    assert len(set(designs[:space])) == space
    assert all(designs)


def test_the_prompts_text_and_the_seed_decide(monkeypatch: pytest.MonkeyPatch) -> None:
    prompt = render_prompt("draft", situation(16), [], None)
    replies = [OfflineAgent().reply(prompt, seed).text for seed in (1, 1, 2)]
    assert replies[0] == replies[1] != replies[2]


def test_a_crossover_takes_a_segment_of_the_second_into_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = (made_up(i, render((kind,) * 8), 0.5) for i, kind in enumerate("AM"))
    for seed in range(20):
        prompt = render_prompt("crossover", situation(8), [first, second], first, second)
        parsed = parse_reply(OfflineAgent(slip_rate=0).reply(prompt, seed).text)
        layers = submitted(parsed.code, monkeypatch)
        assert len(layers) == 8
        assert "Crossover" in parsed.plan
        assert render(layers) not in (first.design, second.design)
        if "and layer" not in parsed.plan and ", and " not in parsed.plan:
            inside = [i for i, layer in enumerate(layers) if layer == "M"]
            assert inside == list(range(inside[0], inside[-1] + 1))


def test_it_finds_a_hidden_design_better_than_chance(monkeypatch: pytest.MonkeyPatch) -> None:
    target = ("Mb", "A", "M", "M", "A", "Mb", "Mb", "M", "A", "A")
    steps, chance = 120, random.Random(0)
    for seed in range(3):
        found = best_node(run(likeness(target), steps, 10, seed, monkeypatch))
        blind = max(likeness(target)(tuple(chance.choices(THREE, k=10))) for _ in range(steps))
        assert found is not None
        assert (found.validation or 0) >= 0.9
        assert (found.validation or 0) > blind


@pytest.mark.parametrize("n", [1, 2, 3, 5, 16])
@pytest.mark.parametrize("primitives", [THREE, ("A", "M"), ("A", "Mb"), ("M",)])
def test_priors_and_moves_keep_length_and_primitives(n: int, primitives: tuple[str, ...]) -> None:
    for seed in range(40):
        rng = step_rng(seed, n)
        first, second = draft(n, primitives, rng)[0], draft(n, primitives, rng)[0]
        for layers in (first, second, mutate(first, primitives, rng)[0], cross(first, second, rng)[0]):
            assert len(layers) == n
            assert set(layers) <= set(primitives)


def test_priors_differ() -> None:
    assert len({prior(16, THREE, step_rng(0, 0)) for prior in PRIORS.values()}) == len(PRIORS)
