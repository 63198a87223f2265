import subprocess
import sys
from pathlib import Path

import pytest

from aira_lib.agents.check import check_model
from aira_lib.agents.model import Reply
from aira_lib.agents.prompt import Prompt
from aira_lib.agents.replay import RecordingModel
from aira_lib.errors import UserError
from tests.aira_lib.agents.test_llm import KEY, Provider, Refusal, answer


class Fixed:
    name = "fixed"

    def reply(self, prompt: Prompt, seed: int) -> Reply:
        return Reply("I would rather not.", {"calls": 1.0, "total_tokens": 12.0})


class Knowing(Provider):
    def get_supported_openai_params(self, model: str) -> list[str]:
        return ["temperature", "max_tokens"]


def test_offline_works() -> None:
    found = check_model("offline")
    assert (found.problem, found.accepted["seed"]) == ("", True)
    assert "reply: holds a plan and a program" in found.lines()


def test_a_provider_in_one_call(monkeypatch: pytest.MonkeyPatch) -> None:
    provider = Knowing(answer("```python\nprint(1)\n```"))
    monkeypatch.setitem(sys.modules, "litellm", provider)
    found = check_model("openai/x", 0.5)
    assert len(provider.calls) == 1
    assert provider.calls[0]["temperature"] == 0.5
    assert found.accepted == {"temperature": True, "seed": False}
    lines = found.lines()
    assert {"tokens: 10", "price: 0.250000 dollars", "seed: has no effect", "temperature: accepted"} <= set(lines)


def test_what_is_not_known_is_called_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "litellm", Provider(answer("no program")))
    lines = check_model("openai/x").lines()
    assert "seed: unknown" in lines
    assert "reply: the reply holds no fenced block of code" in lines


def test_a_refusal_is_one_line_without_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "litellm", Provider(Refusal(401)))
    with pytest.raises(UserError, match="OPENAI_API_KEY") as caught:
        check_model("openai/x")
    assert KEY not in str(caught.value)


def test_a_recording_gives_its_first_reply(tmp_path: Path) -> None:
    path = tmp_path / "replies.jsonl"
    RecordingModel(Fixed(), path).reply(Prompt("x", "d"), 5)
    lines = check_model(f"replay:{path}").lines()
    assert lines[0].endswith("1 recorded replies; the first one:")
    assert "tokens: 12" in lines
    path.write_text("")
    with pytest.raises(UserError, match="empty"):
        check_model(f"replay:{path}")


@pytest.mark.parametrize(("model", "code", "told"), [("offline", 0, "latency"), ("replay:/nowhere", 2, "No such file")])
def test_the_command(model: str, code: int, told: str) -> None:
    command = [sys.executable, "-m", "aira_lib.cli", "models", "check", model]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == code
    assert told in (done.stdout if code == 0 else done.stderr)
    assert code == 0 or done.stderr.strip().count("\n") == 0
