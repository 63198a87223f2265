"""What a call may take and what it counts as, through the real litellm to a real server."""

import time
from typing import Any

import pytest

from aira_lib.agents import Prompt, Reply
from aira_lib.agents.llm import LiteLLMModel
from aira_lib.agents.model import Refused
from aira_lib.agents.reply import ended, parse_reply
from tests.aira_lib.agents.faulty_server import COUNTED, KEY, WITH_LITELLM, FaultyServer, completion, faulty_server

pytestmark = WITH_LITELLM

PROGRAM = "```python\nprint(1)\n```\n"
NOTHING = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}


def model(
    server: FaultyServer, monkeypatch: pytest.MonkeyPatch, name: str = "openai/local"
) -> tuple[LiteLLMModel, list[float]]:
    monkeypatch.setenv("OPENAI_API_BASE", server.url)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    waits: list[float] = []
    return LiteLLMModel(name, 0.7, sleep=waits.append), waits


def asked(answer: Any, monkeypatch: pytest.MonkeyPatch, name: str = "openai/local") -> Reply:
    with faulty_server(lambda *_: answer) as server:
        return model(server, monkeypatch, name)[0].reply(Prompt("p" * 300), 3)


@pytest.mark.parametrize("usage", [None, NOTHING, {"total_tokens": 0}, {"prompt_tokens": 3}])
def test_a_server_that_does_not_count_uses_up_a_budget_all_the_same(
    usage: dict[str, Any] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    used = asked(completion("c" * 600, usage=usage), monkeypatch).usage
    assert used["total_tokens"] >= 200
    assert (used["calls"], used["estimated"]) == (1.0, 1.0)
    assert "dollars" not in used, "nobody knows this model's price"


@pytest.mark.parametrize(("usage", "estimated"), [(NOTHING, True), (COUNTED, False)])
def test_an_estimate_has_its_price(usage: dict[str, Any], estimated: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    import litellm

    used = asked(completion("c" * 600, usage=usage), monkeypatch, "openai/gpt-4o").usage
    tokens = {name: round(used[name]) for name in ("prompt_tokens", "completion_tokens")}
    assert ("estimated" in used) == estimated
    assert used["dollars"] == pytest.approx(sum(litellm.cost_per_token(model="gpt-4o", **tokens)))
    assert used["dollars"] > 0


@pytest.mark.parametrize(
    ("answer", "text", "finish"),
    [
        (completion(None, reasoning_content=PROGRAM), PROGRAM, ""),
        (completion("", reasoning_content=PROGRAM), PROGRAM, ""),
        (completion("answer", reasoning_content=PROGRAM), "answer", ""),
        (completion(None, "length", reasoning_content=PROGRAM), f"<think>{PROGRAM}", "length"),
        (completion(None, refusal="I will not."), "I will not.", "refusal"),
    ],
)
def test_answers_in_other_places(answer: bytes, text: str, finish: str, monkeypatch: pytest.MonkeyPatch) -> None:
    reply = asked(answer, monkeypatch)
    assert (reply.text, reply.finish) == (text, finish)


def test_a_refusal_says_so() -> None:
    assert ended("refusal") == "the model refused to answer"
    assert parse_reply(PROGRAM).code == "print(1)\n"


@pytest.mark.parametrize("seconds", [0.0, 0.3])
@pytest.mark.parametrize("fault", ["slow", "trickle", "503", "429"])
def test_the_time_left_bounds_a_call_with_its_attempts_and_waits(
    fault: str, seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with faulty_server(lambda *_: fault) as server:
        monkeypatch.setenv("OPENAI_API_BASE", server.url)
        patient = LiteLLMModel("openai/local", 0.7)
        started = time.monotonic()
        reply = patient.reply(Prompt("hi", seconds=seconds), 3)
        assert time.monotonic() - started < 20, "a call may take 600 s, and a wait 7"
    assert (reply.text, reply.finish) == ("", "time")
    assert len(server.requests) <= 2
    if fault in ("slow", "trickle") and seconds:
        assert (reply.usage["useless"], reply.usage["estimated"]) == (1.0, 1.0)
    assert "time of the search was over" in ended(reply.finish)


@pytest.mark.parametrize("setting", ["temperature", "seed"])
def test_a_setting_that_is_refused_is_left_out_from_then_on(setting: str, monkeypatch: pytest.MonkeyPatch) -> None:
    words = f"Unsupported value: '{setting}' is not supported with this model."

    def plan(number: int, prompt: str) -> Any:
        return (400, {"message": words}) if setting in server.requests[-1] else completion("well")

    with faulty_server(plan) as server:
        careful, waits = model(server, monkeypatch)
        assert [careful.reply(Prompt("hi"), 3).text for _ in range(2)] == ["well", "well"]
    assert [setting in request for request in server.requests] == [True, False, False]
    assert waits == []
    assert careful.accepted()[setting] is False


def test_what_is_refused_again_though_left_out_is_final(monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        faulty_server(lambda *_: (400, {"message": "seed not permitted"})) as server,
        pytest.raises(Refused, match="seed not permitted"),
    ):
        model(server, monkeypatch)[0].reply(Prompt("hi"), 3)
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    ("status", "error", "told"),
    [
        (429, {"message": "You exceeded your current quota, see billing.", "type": "insufficient_quota",
               "code": "insufficient_quota"}, "the account has no credit"),
        (402, {"message": "Insufficient Balance"}, "the account has no credit"),
        (400, {"message": f"the moon is not full ({KEY})"}, r"the moon is not full \(\[redacted\]\)"),
        (400, {"message": "temperature must be between 0 and 0.5"}, "set another temperature"),
    ],
)  # fmt: skip
def test_what_is_final_is_said_at_once_in_the_providers_words(
    status: int, error: dict[str, Any], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with faulty_server(lambda *_: (status, error)) as server, pytest.raises(Refused, match=told) as caught:
        model(server, monkeypatch)[0].reply(Prompt("hi"), 3)
    assert len(server.requests) == 1
    assert error["message"][:15] in str(caught.value)
    assert KEY not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_context_overflow_in_other_words_is_a_reply_and_no_end(monkeypatch: pytest.MonkeyPatch) -> None:
    words = "the request exceeds the available context size. try increasing the context size"
    with faulty_server(lambda *_: (400, {"message": words})) as server:
        assert model(server, monkeypatch)[0].reply(Prompt("hi"), 3) == Reply("", {"calls": 1.0}, "context")
