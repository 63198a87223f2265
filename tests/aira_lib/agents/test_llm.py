"""The way to a language model: a stand-in for litellm's module always, the real litellm where it is installed."""

import http.server
import json
import sys
import threading
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from aira_lib.agents import Prompt, model_named
from aira_lib.agents.llm import LiteLLMModel, import_litellm
from aira_lib.agents.offline import OfflineAgent
from aira_lib.agents.providers.litellm import LiteLLM
from aira_lib.agents.providers.provider import UnknownModel
from aira_lib.errors import MissingDependency, UserError
from tests.aira_lib.agents.faulty_server import KEY, WITH_LITELLM


class Refusal(Exception):
    def __init__(self, status_code: int) -> None:
        super().__init__(f"Incorrect API key provided: {KEY}")
        self.status_code = status_code


class APIConnectionError(Exception):
    """By its name one of litellm's."""


def answer(text: str | None) -> SimpleNamespace:
    usage = SimpleNamespace(prompt_tokens=7, completion_tokens=3, total_tokens=10)
    return SimpleNamespace(choices=[SimpleNamespace(message=SimpleNamespace(content=text))], usage=usage)


class Provider(ModuleType):
    """A module with the part of litellm that is used; gives its outcomes one after the other."""

    def __init__(self, *outcomes: Any) -> None:
        super().__init__("litellm")
        self.outcomes, self.calls = list(outcomes), list[dict[str, Any]]()

    def completion(self, **call: Any) -> Any:
        self.calls.append(call)
        outcome = self.outcomes.pop(0) if len(self.outcomes) > 1 else self.outcomes[0]
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def completion_cost(self, completion_response: Any) -> float:
        return 0.25

    def validate_environment(self, name: str) -> dict[str, Any]:
        return {"missing_keys": ["OPENAI_API_KEY"]}


def model(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> tuple[LiteLLMModel, list[float]]:
    monkeypatch.setitem(sys.modules, "litellm", provider)
    waits: list[float] = []
    return LiteLLMModel("openai/some-model", 0.5, sleep=waits.append), waits


def test_a_reply_with_its_usage(monkeypatch: pytest.MonkeyPatch) -> None:
    provider = Provider(answer("hello"))
    asked, _ = model(provider, monkeypatch)
    reply = asked.reply(Prompt("the prompt"), seed=42)
    assert reply.text == "hello"
    tokens = {"prompt_tokens": 7.0, "completion_tokens": 3.0, "total_tokens": 10.0}
    assert reply.usage == {"calls": 1.0, "dollars": 0.25, **tokens}
    (call,) = provider.calls
    assert (call["model"], call["temperature"], call["seed"]) == ("openai/some-model", 0.5, 42)
    assert call["messages"] == [{"role": "user", "content": "the prompt"}]


def test_tokens_that_are_not_counted_are_estimated(monkeypatch: pytest.MonkeyPatch) -> None:
    silent = SimpleNamespace(choices=answer("x" * 100).choices, usage=None)
    usage = model(Provider(silent), monkeypatch)[0].reply(Prompt("y" * 50), 0).usage
    assert (usage["total_tokens"], usage["estimated"]) == (50.0, 1.0)


def test_an_empty_answer_is_an_empty_reply(monkeypatch: pytest.MonkeyPatch) -> None:
    assert model(Provider(answer(None)), monkeypatch)[0].reply(Prompt(""), 0).text == ""


@pytest.mark.parametrize(
    "error", [Refusal(429), Refusal(500), Refusal(503), Refusal(408), APIConnectionError(), ConnectionResetError()]
)
def test_what_may_pass_is_tried_again(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, waits = model(Provider(error, error, error, answer("at last")), monkeypatch)
    assert asked.reply(Prompt(""), 0).text == "at last"
    assert len(waits) == 3
    for number, wait in enumerate(waits):
        assert 0.5 * 2**number <= wait <= 1.5 * 2**number


def test_it_gives_up_with_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    provider = Provider(Refusal(503))
    asked, _ = model(provider, monkeypatch)
    with pytest.raises(UserError, match=r"status 503\) after 7 attempts; run the same command again") as caught:
        asked.reply(Prompt(""), 0)
    assert len(provider.calls) == 7
    assert KEY not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "told"),
    [(401, "check the key in OPENAI_API_KEY"), (403, "OPENAI_API_KEY"), (404, "no such model"), (400, "400")],
)
def test_a_refusal_is_final_names_the_variable_and_hides_the_key(
    status: int, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = Provider(Refusal(status))
    asked, waits = model(provider, monkeypatch)
    with pytest.raises(UserError, match=told) as caught:
        asked.reply(Prompt(""), 0)
    assert (len(provider.calls), waits) == (1, [])
    assert KEY not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_bug_stays_a_bug(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, waits = model(Provider(SimpleNamespace()), monkeypatch)
    with pytest.raises(AttributeError):
        asked.reply(Prompt(""), 0)
    assert waits == []


def test_offline_needs_nothing_and_others_say_what_they_need(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "litellm", None)
    assert isinstance(model_named("offline"), OfflineAgent)
    with pytest.raises(MissingDependency, match=r"openai/x.*pip install -e '.*\[agents\]'"):
        model_named("openai/x")


class ChatServer(http.server.BaseHTTPRequestHandler):
    """An OpenAI-compatible server: busy at first, then it answers with what it was asked."""

    requests = 0

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        type(self).requests += 1
        busy = type(self).requests == 1
        content = f"you said: {request['messages'][0]['content']}"
        body = json.dumps(
            {"error": {"message": "busy"}}
            if busy
            else {
                "id": "1", "object": "chat.completion", "created": 0, "model": request["model"],
                "choices": [
                    {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": content}}
                ],
                "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
            }
        ).encode()  # fmt: skip
        self.send_response(429 if busy else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        return


@pytest.fixture
def chat_server() -> Iterator[str]:
    ChatServer.requests = 0
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), ChatServer) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
        server.shutdown()


@WITH_LITELLM
def test_a_real_server_through_the_real_litellm(chat_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_BASE", chat_server)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    waits: list[float] = []
    reply = LiteLLMModel("openai/local", 1.0, sleep=waits.append).reply(Prompt("hi"), 1)
    assert reply.text == "you said: hi"
    assert reply.usage["total_tokens"] == 3
    assert len(waits) == 1


@WITH_LITELLM
def test_names_and_prices_are_litellms_although_it_is_not_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    litellm = import_litellm("gpt-4o")
    monkeypatch.delitem(sys.modules, "litellm")
    provider, asked = LiteLLM(), ("gpt-4o", "openai/gpt-4o", "anthropic/claude-sonnet-4-5", "openai/nobodys", "groq/x")
    prices = [provider.price(name) for name in asked]
    for name in asked:
        provider.check(name, 1.0)
    assert "litellm" not in sys.modules
    monkeypatch.setitem(sys.modules, "litellm", litellm)
    assert prices == [provider.price(name) for name in asked]
    assert sum(price is not None for price in prices) == 3
    for name in asked:
        litellm.get_llm_provider(name)
    with pytest.raises(UnknownModel, match="openai/gpt-4o"):
        provider.check("opnai/gpt-4o", 1.0)
