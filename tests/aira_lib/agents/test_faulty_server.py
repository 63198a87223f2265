"""The real litellm against a real server that fails in every way that providers fail."""

import random
import re
from collections.abc import Callable
from pathlib import Path

import pytest

import aira_lib.search.stage as stage
from aira_lib.agents import Prompt, Reply, parse_reply
from aira_lib.agents.bounds import MAX_REPLY, ReplyError
from aira_lib.agents.llm import LiteLLMModel
from aira_lib.agents.offline import OfflineAgent
from aira_lib.errors import UserError
from aira_lib.records import Evaluation, Node, read_rows
from aira_lib.search.stage import search
from aira_lib.study import AgentSection, CandidateLimits, ProxySection, TaskSection
from tests.aira_lib.agents.faulty_server import BIG, FAULTS, KEY, WITH_LITELLM, FaultyServer, completion, faulty_server
from tests.builders import work_in

pytestmark = WITH_LITELLM


def model(server: FaultyServer, monkeypatch: pytest.MonkeyPatch) -> tuple[LiteLLMModel, list[float]]:
    monkeypatch.setenv("OPENAI_API_BASE", server.url)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    waits: list[float] = []
    return LiteLLMModel("openai/local", 1.0, sleep=waits.append), waits


@pytest.mark.parametrize("fault", FAULTS)
def test_what_may_pass_is_tried_again_until_the_right_reply(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with faulty_server(lambda number, prompt: fault if number < 2 else completion(f"you said {prompt}")) as server:
        asked, waits = model(server, monkeypatch)
        reply = asked.reply(Prompt("hi"), 3)
    assert (reply.text, reply.finish, reply.usage["calls"]) == ("you said hi", "", 3)
    # "hi" is a token of an estimate; two calls in vain are paid for where no error of the provider's own came back.
    in_vain = {"429": 0, "500": 0, "503": 0, "error in 200": 0, "empty choices": 2 * 3}.get(fault, 2 * 1)
    assert reply.usage["total_tokens"] == 3 + in_vain
    assert reply.usage.get("useless", 0) == (2 if in_vain else 0)
    assert ("estimated" in reply.usage) == (in_vain == 2)
    assert len(server.requests) == 3, "nothing but our own attempts"
    assert len(waits) == 2
    assert all(7 <= wait <= 7.7 for wait in waits) if fault == "429" else waits[0] < 7


def test_a_missing_key_is_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    waits: list[float] = []
    with pytest.raises(UserError, match=r"^model 'openai/gpt-5': no key; put one into OPENAI_API_KEY$"):
        LiteLLMModel("openai/gpt-5", 1.0, sleep=waits.append).reply(Prompt("hi"), 3)
    assert waits == []


@pytest.mark.parametrize("fault", ["slow", "trickle"])
def test_a_call_that_takes_too_long_is_given_up_and_tried_again(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRA_CALL_SECONDS", "1")
    with faulty_server(lambda number, _: fault if number < 1 else completion("at last")) as server:
        asked, waits = model(server, monkeypatch)
        assert asked.reply(Prompt("hi"), 3).text == "at last"
        assert len(waits) == 1


@pytest.mark.parametrize(("fault", "told"), [
    ("429", r"RateLimitError \(status 429\) \(busy\) after 7 attempts"),
    ("500", r"InternalServerError \(status 500\) after 7"),
    ("cut", "no connection, or one that was cut after 7"),
    ("garbage", "the answer is no chat completion after 7"),
    ("broken json", "the answer is no chat completion after 7"),
    ("no choices", "the answer is no chat completion after 7"),
    ("empty choices", "the answer is no chat completion after 7"),
    ("error in 200", r"status 502\) after 7"),
    ("slow", "no whole answer within 0.05 s after 7"),
    ("401", "check the key in OPENAI_API_KEY"),
])  # fmt: skip
def test_it_gives_up_with_one_line_that_names_what_was_wrong(
    fault: str, told: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with faulty_server(lambda *_: fault) as server:
        asked, _ = model(server, monkeypatch)
        if fault == "slow":
            monkeypatch.setenv("AIRA_CALL_SECONDS", "0.05")
        with pytest.raises(UserError, match=told) as caught:
            asked.reply(Prompt("hi"), 3)
    assert "\n" not in str(caught.value)
    assert KEY not in str(caught.value) + "".join(capfd.readouterr())


def test_nobody_there_is_one_line_too(monkeypatch: pytest.MonkeyPatch) -> None:
    with faulty_server(lambda *_: b"") as server:
        asked, waits = model(server, monkeypatch)
    with pytest.raises(UserError, match="no connection, or one that was cut after 7 attempts"):
        asked.reply(Prompt("hi"), 3)
    assert len(waits) == 6


@pytest.mark.parametrize("content", [None, ""])
def test_no_content_is_an_empty_reply(content: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    with faulty_server(lambda *_: completion(content)) as server:
        assert model(server, monkeypatch)[0].reply(Prompt("hi"), 3).text == ""
    with pytest.raises(ReplyError, match="empty"):
        parse_reply("")


def test_of_ten_megabytes_little_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    with faulty_server(lambda *_: completion("x" * BIG)) as server:
        reply = model(server, monkeypatch)[0].reply(Prompt("hi"), 3)
    assert len(reply.text) == MAX_REPLY + 1
    with pytest.raises(ReplyError, match="longer than"):
        parse_reply(reply.text)


def test_how_a_reply_ended_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    with faulty_server(lambda number, _: completion("half", "length") if number == 0 else "too long") as server:
        asked, waits = model(server, monkeypatch)
        assert asked.reply(Prompt("hi"), 3).finish == "length"
        assert asked.reply(Prompt("hi"), 3) == Reply("", {"calls": 1.0}, "context")
    assert waits == [], "a prompt that is too long stays too long"


@pytest.mark.parametrize("effort", ["none", "low", "high"])
def test_reasoning_effort_is_sent_only_if_it_is_set(effort: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with faulty_server(lambda *_: completion("x")) as server:
        model(server, monkeypatch)
        LiteLLMModel("openai/local", 0.5, effort).reply(Prompt("hi"), 3)  # type: ignore[arg-type]
    (request,) = server.requests
    assert request.get("reasoning_effort") == (None if effort == "none" else effort)
    assert (request["temperature"], request["seed"]) == (0.5, 3)


# A whole search, whose model is the offline agent behind the server.

STEPS = 8
TASK, PROXY = TaskSection(layers=6), ProxySection(tasks=("memorization",), train_examples=10, test_examples=4)
AGENT = AgentSection(model="openai/local", steps=STEPS, n_drafts=3, limits=CandidateLimits(seconds=30, memory_mb=256))


def share(layers: tuple[str, ...], *_: object, **__: object) -> Evaluation:
    return Evaluation(status="ok", validation=layers.count("A") / len(layers))


def searched(
    path: Path, plan: Callable[[int, str], str | bytes], monkeypatch: pytest.MonkeyPatch, agent: AgentSection = AGENT
) -> tuple[list[Node], FaultyServer]:
    with faulty_server(plan) as server:
        asked, _ = model(server, monkeypatch)
        monkeypatch.setattr(stage, "model_named", lambda *_: asked)
        search(TASK, PROXY, agent, 5, work_in(path), share)
    return read_rows(path / "journal.jsonl", Node), server


def offline(prompt: str) -> bytes:
    return completion(OfflineAgent().reply(Prompt(re.sub(r"\d+ seconds", "", prompt)), len(prompt) % 7).text)


def test_a_search_through_a_server_that_errs_ends_as_one_without_errors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(1)

    def at_random(number: int, prompt: str) -> str | bytes:
        return chance.choice(FAULTS) if chance.random() < 0.4 else offline(prompt)

    smooth, quiet = searched(tmp_path / "smooth", lambda _, prompt: offline(prompt), monkeypatch)
    rough, loud = searched(tmp_path / "rough", at_random, monkeypatch)
    assert len(quiet.requests) == STEPS
    assert len(loud.requests) > STEPS + 2, "the server did err"
    assert len(smooth) == STEPS
    assert [(node.id, node.code, node.validation) for node in rough] == [
        (node.id, node.code, node.validation) for node in smooth
    ]


@pytest.mark.parametrize(("answer", "reason"), [
    (completion("x" * BIG), "longer than 1,000,000 characters"),
    (completion("plan\n```python\nopen('a')\nopen('sub", "length"), "cut off inside a block of code; its provider cut"),
    (completion("plan\n```python\nopen('a')\n", "length"), "cut off inside a block of code; its provider cut"),
    (completion("open('a')\n", "length"), "no fenced block of code; its provider cut it off"),
    (completion("", "content_filter"), r"is empty; its provider ended it \(finish_reason content_filter\)"),
    (completion(""), "the reply is empty$"),
    ("too long", "is empty; its prompt is longer than the model's context; lower memory_tokens"),
], ids=["10 MB", "cut", "cut where it compiles", "cut without a fence", "filter", "empty", "too long"])  # fmt: skip
def test_a_bad_reply_is_a_failed_node_of_limited_size(
    answer: bytes | str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = AGENT.model_copy(update={"steps": 2, "n_drafts": 1, "record_replies": True, "tries": 1})
    nodes, _ = searched(tmp_path, lambda number, prompt: offline(prompt) if number else answer, monkeypatch, agent)
    assert [node.status for node in nodes] == ["failed", "ok"]
    assert re.search(reason, nodes[0].reason), nodes[0].reason
    assert (tmp_path / "journal.jsonl").stat().st_size < 40_000
    assert (tmp_path / "replies.jsonl").stat().st_size < 1.1 * MAX_REPLY
