"""The look back at a step: what it reads, where it goes, what it costs, and that it decides nothing."""

from pathlib import Path
from typing import Any

import pytest

import aira_lib.search.stage as stage
from aira_lib.agents import Prompt, Reply, Situation, render_prompt
from aira_lib.agents.analysis import MOST_ANALYSIS, analysed, wants_analysis
from aira_lib.agents.ledger import spent
from aira_lib.agents.offline import OfflineAgent
from aira_lib.agents.prompt import render_analysis
from aira_lib.agents.usage import added
from aira_lib.records import Evaluation, Node, read_rows
from aira_lib.search.stage import search
from aira_lib.study import AgentSection, CandidateLimits, ProxySection, TaskSection
from tests.builders import node, work_in

SITUATION = Situation("THE TASK", ("A", "M"), 2, "data", CandidateLimits(), 2, 100.0, 10)
TEST = 0.48151623
GOOD = node(3, "A-M", 0.75, test=TEST, plan="THE PLAN", code="the_code()", output="PRINTED", gain=-0.125)
BAD = node(4, None, None, plan="THE PLAN", code="the_code()", output="PRINTED", reason="it ran out of layers")


class Saying:
    """A model that says one thing."""

    name = "saying"

    def __init__(self, text: str, **usage: float) -> None:
        self.text, self.usage, self.prompts = text, usage, list[str]()

    def reply(self, prompt: Prompt, seed: int) -> Reply:
        self.prompts.append(prompt.text)
        return Reply(self.text, self.usage)


@pytest.mark.parametrize(("analyse", "good", "bad"), [
    ("never", False, False), ("failed", False, True), ("all", True, True),
])  # fmt: skip
def test_which_steps(analyse: Any, good: bool, bad: bool) -> None:
    agent = AgentSection(analyse=analyse)
    assert (wants_analysis(agent, GOOD), wants_analysis(agent, BAD)) == (good, bad)


def test_it_reads_all_that_may_be_known() -> None:
    of_good, of_bad = render_analysis(SITUATION, GOOD).text, render_analysis(SITUATION, BAD).text
    for text in (of_good, of_bad):
        for told in ("THE TASK", "THE PLAN", "the_code()", "PRINTED"):
            assert told in text
    assert "`A-M` has a validation fitness of 0.75, -0.125 against the design it was made from" in of_good
    assert "It failed: it ran out of layers" in of_bad
    assert str(TEST)[:6] not in of_good


@pytest.mark.parametrize(("said", "kept"), [
    ("  It worked.\r\n", "It worked."), ("<think>hm</think>Less of A.", "Less of A."), ("", ""), ("<think>hm", ""),
    ("x" * 2_000_000, ""),
])  # fmt: skip
def test_what_is_said_is_kept_and_nothing_else_changes(said: str, kept: str) -> None:
    for each in (GOOD, BAD):
        after = analysed(each, Saying(said), SITUATION, 1)
        assert after.analysis == kept
        assert after.model_copy(update={"analysis": ""}) == each
    assert len(analysed(GOOD, Saying("word " * 10_000), SITUATION, 1).analysis) < MOST_ANALYSIS + 50


def test_its_usage_is_added() -> None:
    first = {"calls": 1.0, "total_tokens": 10.0, "dollars": 0.5, "estimated": 1.0}
    after = analysed(GOOD.model_copy(update={"usage": first}), Saying("x", calls=1.0, total_tokens=5.0), SITUATION, 1)
    assert after.usage == {"calls": 2.0, "total_tokens": 15.0, "dollars": 0.5, "estimated": 1.0}
    assert added(first, first) == {"calls": 2.0, "total_tokens": 20.0, "dollars": 1.0, "estimated": 1.0}
    assert spent([after]).tokens == 15


def test_children_read_it() -> None:
    good, bad = (each.model_copy(update={"analysis": "WHAT I LEARNED"}) for each in (GOOD, BAD))
    assert "WHAT I LEARNED" in render_prompt("improve", SITUATION, [], good).text
    assert "WHAT I LEARNED" in render_prompt("debug", SITUATION, [], bad).text
    assert render_prompt("crossover", SITUATION, [], good, good).text.count("WHAT I LEARNED") == 2
    assert "WHAT I LEARNED" in render_prompt("draft", SITUATION, [good], None).text
    assert "analysis said" not in render_prompt("improve", SITUATION, [], GOOD).text


def test_the_offline_agent_looks_back_too() -> None:
    reply = OfflineAgent().reply(render_analysis(SITUATION, GOOD), 1)
    assert reply.text == "[offline agent] It gave 0.75, -0.125 against the design it was made from."
    assert "it ran out of layers" in OfflineAgent().reply(render_analysis(SITUATION, BAD), 1).text


# In a search.

TASK, PROXY = TaskSection(layers=6), ProxySection(tasks=("memorization",), train_examples=10, test_examples=4)
LIMITS = CandidateLimits(seconds=30, memory_mb=256)
AGENT = AgentSection(steps=4, n_drafts=2, analyse="all", record_replies=True, limits=LIMITS)


def share(layers: tuple[str, ...], *_: object, **__: object) -> Evaluation:
    return Evaluation(status="ok", validation=layers.count("A") / len(layers), test=TEST)


def searched(path: Path, agent: AgentSection) -> list[dict[str, Any]]:
    search(TASK, PROXY, agent, 7, work_in(path), share)
    return [
        {**each.model_dump(exclude={"seconds"}), "evaluation": None} for each in read_rows(path / "journal.jsonl", Node)
    ]


def test_interrupted_or_replayed_it_ends_the_same(tmp_path: Path) -> None:
    expected = searched(tmp_path / "whole", AGENT)
    assert all(each["analysis"].startswith("[offline agent] It gave") for each in expected)
    assert all(each["usage"]["calls"] == 2 for each in expected)
    journal = (tmp_path / "whole" / "journal.jsonl").read_bytes().splitlines(keepends=True)
    replies = (tmp_path / "whole" / "replies.jsonl").read_bytes().splitlines(keepends=True)
    assert len(replies) == 2 * AGENT.steps
    for nodes, said in ((2, 5), (3, 8)):  # killed between and after the two calls of a step
        cut = tmp_path / f"cut{nodes}-{said}"
        cut.mkdir()
        (cut / "journal.jsonl").write_bytes(b"".join(journal[:nodes]))
        (cut / "replies.jsonl").write_bytes(b"".join(replies[:said]))
        assert searched(cut, AGENT) == expected
        assert (cut / "replies.jsonl").read_bytes().count(b"\n") == len(replies)
    replay = AGENT.model_copy(update={"model": f"replay:{tmp_path / 'whole'}", "record_replies": False})
    assert searched(tmp_path / "again", replay) == expected


def test_the_score_is_not_the_models_to_give_and_the_budget_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = "```python\nopen('submission.csv', 'w').write('architecture\\n6A')\n```"

    class Boasting(Saying):
        def reply(self, prompt: Prompt, seed: int) -> Reply:
            looks_back = "look back at one step" in prompt.text
            return Reply("Fitness is 99.0!" if looks_back else f"{super().reply(prompt, seed).text}", self.usage)

    model = Boasting(program, calls=1.0, total_tokens=10.0)
    monkeypatch.setattr(stage, "model_named", lambda *_: model)
    nodes = searched(tmp_path, AGENT.model_copy(update={"record_replies": False, "max_tokens_total": 30}))
    assert [each["validation"] for each in nodes] == [1.0, 1.0]
    # The budget was used up by the third call, so the fourth was not made.
    assert [(each["analysis"], each["usage"]["calls"]) for each in nodes] == [("Fitness is 99.0!", 2.0), ("", 1.0)]
    assert "Fitness is 99.0!" in model.prompts[1]
