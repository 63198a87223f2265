"""Which earlier steps a prompt tells of, and in how many tokens."""

import dataclasses
import json
import random
from typing import Any, get_args

import pytest

from aira_lib.agents import Prompt, Situation, parse_reply, render_prompt
from aira_lib.agents.memory import MOST_FAILED, MOST_GOOD, MOST_TRIED, memory, remembered, tokens
from aira_lib.agents.offline import OfflineAgent
from aira_lib.agents.prompt import read_memory
from aira_lib.agents.step import Operator, fitness, is_good
from aira_lib.records import Node
from aira_lib.study import CandidateLimits
from aira_lib.study.agent import AgentSection, MemoryOf
from tests.builders import node

# 0 draft ─ 2 improve ─ 4 improve (failed) ─ 5 debug ─ 7 improve;  0 ─ 3 improve;  1 draft;  6 = 2 x 3
TREE = [
    node(0, "4A", 0.1),
    node(1, "4M", 0.2),
    node(2, "3A-M", 0.3, operator="improve", parents=("n0",)),
    node(3, "2A-2M", 0.4, operator="improve", parents=("n0",)),
    node(4, None, None, operator="improve", parents=("n2",), reason="broken"),
    node(5, "A-3M", 0.5, operator="debug", parents=("n4",)),
    node(6, "M-3A", 0.6, operator="crossover", parents=("n2", "n3")),
    node(7, "2M-2A", 0.7, operator="improve", parents=("n5",)),
]


@pytest.mark.parametrize(("of", "operator", "parents", "steps"), [
    ("none", "improve", (7,), []),
    ("all", "improve", (7,), [0, 1, 2, 3, 4, 5, 6, 7]),
    ("siblings", "draft", (), [0, 1]),
    ("siblings", "improve", (0,), [2, 3]),
    ("siblings", "debug", (4,), [5]),
    ("siblings", "crossover", (2, 3), [4, 6]),
    ("ancestors", "draft", (), []),
    ("ancestors", "improve", (7,), [0, 2, 4, 5, 7]),
    ("ancestors", "debug", (4,), [0, 2, 4]),
    ("ancestors", "crossover", (6, 1), [0, 1, 2, 3, 6]),
])  # fmt: skip
def test_the_modes(of: MemoryOf, operator: Operator, parents: tuple[int, ...], steps: list[int]) -> None:
    told = remembered(TREE, of, operator, [TREE[i] for i in parents])
    assert [each.step for each in told] == steps


def size(told: dict[str, list[Any]]) -> int:
    entries = [entry for entries in told.values() for entry in entries]
    return sum(tokens(json.dumps(entry, ensure_ascii=False) + ", ") for entry in entries)


@pytest.mark.parametrize("most", [1, 40, 100, 500, 1_000, 100_000])
def test_a_memory_keeps_to_its_limit_and_the_best_go_in_first(most: int) -> None:
    nodes = [
        node(i, f"{i + 1}A", (i * 7 % 50) / 50, plan=f"plan {i}") if i % 5 else node(i, None, None, reason=f"why {i}")
        for i in range(60)
    ]
    told = memory(nodes, False, most)
    assert size(told) <= most
    everything = memory(nodes, False, 10**9)
    for kind in ("good", "tried", "failed"):  # the latest of `tried` and `failed`, the best of `good`
        kept, whole = told[kind], everything[kind]
        assert kept == (whole[: len(kept)] if kind == "good" else whole[len(whole) - len(kept) :])
    assert told["good"] == everything["good"] or not told["failed"]
    assert told["failed"] == everything["failed"] or not told["tried"]
    if most == 1_000:
        assert told["good"]
        assert len(told["tried"]) < len(everything["tried"])


def plain_memory(nodes: list[Node], lower: bool, most: int) -> dict[str, list[Any]]:
    """All entries rendered anew, as the module's docstring has it."""
    good = sorted((n for n in nodes if is_good(n)), key=lambda n: -fitness(n, lower))
    distinct = list({n.design or n.id: n for n in reversed(good)}.values())[::-1]
    told: list[tuple[str, Any]] = [
        ("good", {"design": n.design, "validation": n.validation, "step": n.step, "plan": n.plan[:300]})
        for n in distinct[:MOST_GOOD]
    ]
    failed = [n for n in nodes if not is_good(n)][-MOST_FAILED:]
    told += [("failed", {"step": n.step, "reason": n.reason[:300]}) for n in reversed(failed)]
    told += [("tried", d) for d in reversed(list(dict.fromkeys(n.design for n in nodes if n.design))[-MOST_TRIED:])]
    kept: dict[str, list[Any]] = {"good": [], "tried": [], "failed": []}
    for kind, entry in told:
        most -= tokens(json.dumps(entry, ensure_ascii=False) + ", ")
        if most < 0:
            break
        kept[kind].append(entry)
    return {"good": kept["good"], "tried": kept["tried"][::-1], "failed": kept["failed"][::-1]}


@pytest.mark.parametrize("lower", [False, True])
def test_prompts_are_those_of_a_plain_rendering_at_every_step(lower: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(3)
    nodes: list[Node] = []
    for i in range(120):
        design = rng.choice(["A-M", 'quo"ted', "ü-M", f"{i}A", f"{i // 3}Mb"])
        score = rng.choice([0.5, rng.random(), float("nan"), None])
        nodes.append(node(i, design, score, plan=f"plan {i}", reason="why" if score is None else ""))
    for count in range(0, len(nodes) + 1, 7):
        for most in (50, 700, 40_000):
            situation = dataclasses.replace(SITUATION, lower_is_better=lower, memory_tokens=most)
            fast = render_prompt("draft", situation, nodes[:count], None)
            with monkeypatch.context() as patched:
                patched.setattr("aira_lib.agents.prompt.memory", plain_memory)
                assert render_prompt("draft", situation, nodes[:count], None) == fast


def test_the_default_limit_holds_all_that_a_memory_ever_holds() -> None:
    design = "-".join(["Mb", "A"] * 8)
    full = [
        node(i, f"{design}-{i}A", i / 2_000, plan="p" * 4_000, change="c" * 200, gain=0.123456789, analysis="a" * 2_000)
        for i in range(1_100)
    ] + [node(i, None, None, reason="r" * 1_000, analysis="a" * 2_000) for i in range(1_100, 1_110)]
    told = memory(full, False, AgentSection().memory_tokens)
    assert [len(told[kind]) for kind in ("good", "tried", "failed")] == [MOST_GOOD, MOST_TRIED, MOST_FAILED]


def test_small_models_get_a_small_memory_unless_it_is_set() -> None:
    assert AgentSection(model="smollm2").memory_tokens < 2_000
    assert AgentSection(model="smollm2", memory_tokens=7_000).memory_tokens == 7_000
    filled = AgentSection(model="smollm2").model_dump(mode="json")
    assert AgentSection.model_validate(filled).memory_tokens == filled["memory_tokens"]


def test_a_change_stands_with_its_gain_and_an_analysis_with_its_node() -> None:
    changed = node(0, "A-M", 0.5, change="more A", gain=0.25, analysis="A helps")
    failed = node(1, None, None, reason="why", analysis="off by one")
    told = memory([changed, failed, node(2, "M-A", 0.1)], False, 10_000)
    assert (told["good"][0]["change"], told["good"][0]["gain"], told["good"][0]["analysis"]) == (
        "more A", 0.25, "A helps",
    )  # fmt: skip
    assert told["failed"] == [{"step": 1, "reason": "why", "analysis": "off by one"}]
    assert set(told["good"][1]) == {"design", "validation", "step", "plan"}


SITUATION = Situation("task", ("A", "M"), 4, "data", CandidateLimits(), 2, 100.0, 10)


@pytest.mark.parametrize("of", get_args(MemoryOf))
@pytest.mark.parametrize(("operator", "parent", "other"), [
    ("draft", None, None), ("improve", 7, None), ("debug", 4, None), ("crossover", 6, 7),
])  # fmt: skip
def test_the_prompt_and_the_offline_agent_in_each_mode(
    of: MemoryOf, operator: Operator, parent: int | None, other: int | None
) -> None:
    situation = dataclasses.replace(SITUATION, memory=of)

    def at(i: int | None) -> Node | None:
        return None if i is None else TREE[i]

    prompt = render_prompt(operator, situation, TREE, at(parent), at(other))
    told = remembered(TREE, of, operator, [each for each in (at(parent), at(other)) if each])
    found = read_memory(prompt.text)
    assert found["tried"] == [each.design for each in told if each.design]
    assert ("you are told nothing" in prompt.text) == (of == "none")
    reply = OfflineAgent(slip_rate=0).reply(Prompt(prompt.text), 1)
    assert "4 layers" in parse_reply(reply.text).code
    others = render_prompt(operator, dataclasses.replace(SITUATION, memory_tokens=30), TREE, at(parent), at(other))
    assert len(read_memory(others.text)["tried"]) == 0
