"""A model that is waited for says so to whoever runs the step."""

import threading
from typing import Any

import pytest

from aira_lib.agents.providers import litellm as provider
from aira_lib.agents.telling import WAITING, hearing, wait_aloud


def test_a_models_waits_are_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    """A search whose model failed again and again said "running 0/40" for a minute and a half."""
    given: dict[str, Any] = {}
    monkeypatch.setattr(provider, "LiteLLMModel", lambda *args, **named: given.update(named))
    provider.LiteLLM().make("openai/x", 1.0, "none")
    heard: list[str] = []
    with hearing(heard.append):
        given["sleep"](0.0)
    assert [line.startswith(WAITING) for line in heard] == [True]
    assert "next attempt in 0 s" in heard[0]


def test_only_the_step_that_waits_hears_of_it() -> None:
    heard: list[str] = []
    with hearing(heard.append):
        other = threading.Thread(target=wait_aloud, args=(0.0,))
        other.start()
        other.join()
        with hearing(lambda line: None):
            wait_aloud(0.0)
    wait_aloud(0.0)
    assert heard == []
