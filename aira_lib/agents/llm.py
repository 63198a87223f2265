"""Language models of any provider through litellm: attempts, prices, and refusals as one line with the remedy."""

import contextlib
import importlib
import math
import os
import random
import time
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

from aira_lib.agents.calls import (
    LONGEST_WAIT,
    MalformedAnswer,
    call_seconds,
    keyless,
    limited,
    passing,
    wait_asked_for,
    what_was_wrong,
)
from aira_lib.agents.model import Reply
from aira_lib.agents.prompt import Prompt
from aira_lib.agents.reply import MAX_REPLY
from aira_lib.errors import MissingDependency, UserError
from aira_lib.study.agent import ReasoningEffort

_RETRIES = 6
_FIRST_WAIT = 1.0  # seconds; doubled from one attempt to the next
_CHARACTERS_A_TOKEN = 3.0  # English and code have about 4; rather too many tokens than too few


class LiteLLMModel:
    """A model of any provider that litellm knows, or of any OpenAI-compatible server (OPENAI_API_BASE)."""

    def __init__(
        self,
        name: str,
        temperature: float,
        reasoning_effort: ReasoningEffort = "none",
        sleep: Callable[[float], None] = time.sleep,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        """Prepare calls; `options` go into each of them, over what stands there otherwise."""
        self.name = name
        self.temperature = temperature
        self._options: dict[str, Any] = dict(options or {})
        if reasoning_effort != "none":
            # It was asked for by name: a provider that does not take it shall refuse rather than not know of it.
            self._options |= {"reasoning_effort": reasoning_effort, "allowed_openai_params": ["reasoning_effort"]}
        self._sleep = sleep
        self._litellm = import_litellm(name)

    def reply(self, prompt: Prompt, seed: int) -> Reply:
        """Call the provider; wait and try again when it is busy, broken or out of reach.

        Raises:
            UserError: it refuses for good, or still fails after all attempts.
        """
        for attempt in range(_RETRIES + 1):
            try:
                return limited(lambda: self._call(prompt, seed))
            except Exception as error:
                if type(error).__name__ == "ContextWindowExceededError":
                    return Reply("", {"calls": 1.0}, "context")
                if isinstance(error, UserError) or (not passing(error) and not hasattr(error, "status_code")):
                    raise  # not the provider's doing
                if not passing(error) or attempt == _RETRIES:
                    raise UserError(self._refusal(error)) from None
                asked = wait_asked_for(error)
            # Jitter: parallel searches must not come back all at once.
            wait = min(LONGEST_WAIT, _FIRST_WAIT * 2**attempt) * random.uniform(0.5, 1.5)
            self._sleep(wait if wait >= asked else asked * random.uniform(1.0, 1.1))
        raise AssertionError("unreachable")

    def _call(self, prompt: Prompt, seed: int) -> Reply:
        call: dict[str, Any] = {
            "model": self.name,
            "messages": [{"role": "user", "content": prompt.text}],
            "temperature": self.temperature,
            "seed": seed,
            "timeout": call_seconds(),
            "num_retries": 0,
            "max_retries": 0,  # the attempts are ours, those of the client library besides would not be counted
            "drop_params": True,  # a provider that knows no seed or temperature is asked without
        }
        answer = self._litellm.completion(**call | self._options)
        if not answer.choices:
            raise MalformedAnswer
        content = answer.choices[0].message.content or ""
        finish = getattr(answer.choices[0], "finish_reason", None) or "stop"
        usage = _usage(answer, self._litellm, len(prompt.text) + len(content))
        # One character more than a reply may have: enough to be told that it was too long.
        return Reply(content[: MAX_REPLY + 1], usage, "" if finish == "stop" else str(finish))

    def accepted(self) -> dict[str, bool | None]:
        """Whether the provider takes temperature, seed and, if it is set, reasoning effort (None: unknown)."""
        try:
            known = self._litellm.get_supported_openai_params(model=self.name)
        except Exception:  # litellm knows no such model; the call itself has worked all the same
            known = None
        names = ("temperature", "seed", *(["reasoning_effort"] if "reasoning_effort" in self._options else []))
        return {name: name in known if known else None for name in names}

    def _refusal(self, error: Exception) -> str:
        """One line: what was refused and what to do; never the provider's own text where it might hold a key."""
        status = getattr(error, "status_code", None)
        what = f"model {self.name!r}: {what_was_wrong(error)}"
        if keyless(error):
            return f"{what}; put one into {self._key_variables()}"
        if status in (401, 403) or type(error).__name__ in ("AuthenticationError", "PermissionDeniedError"):
            return f"{what}; check the key in {self._key_variables()}"
        if status == 404 or type(error).__name__ == "NotFoundError":
            return f"{what}; there is no such model at this provider, or its base URL is wrong"
        if passing(error):
            return f"{what} after {_RETRIES + 1} attempts; run the same command again later, nothing is lost"
        return f"{what}; see the provider's documentation of this error, or use model: offline"

    def _key_variables(self) -> str:
        try:
            missing = self._litellm.validate_environment(self.name).get("missing_keys") or []
        except Exception:
            missing = []
        provider = self.name.partition("/")[0] if "/" in self.name else "openai"
        return " and ".join(missing) or f"{provider.upper().replace('-', '_')}_API_KEY"


def missing_litellm(name: str) -> MissingDependency:
    """The line that says that a model wants litellm, and how to get it."""
    return MissingDependency(f"model {name!r} (any but 'offline')", "agents")


def import_litellm(name: str) -> ModuleType:
    """The library, quiet and asking nobody.

    Raises:
        MissingDependency: it is not installed; the line names the model that wants it.
    """
    # Prices come with litellm; else importing it asks a server for newer ones, for seconds where there is no network.
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    try:
        litellm = importlib.import_module("litellm")
    except ImportError:
        raise missing_litellm(name) from None
    litellm.suppress_debug_info = True  # type: ignore[attr-defined]
    litellm.telemetry = False  # type: ignore[attr-defined]
    return litellm


def _usage(answer: Any, litellm: ModuleType, characters: int) -> dict[str, float]:
    usage = {"calls": 1.0}
    for name in ("prompt_tokens", "completion_tokens", "total_tokens"):
        count = getattr(getattr(answer, "usage", None), name, None)
        if isinstance(count, (int, float)):
            usage[name] = float(count)
    if "total_tokens" not in usage:  # a budget must hold with providers that do not count, too
        usage |= {"total_tokens": float(math.ceil(characters / _CHARACTERS_A_TOKEN)), "estimated": 1.0}
    with contextlib.suppress(Exception):  # no price is known for this model
        usage["dollars"] = float(litellm.completion_cost(completion_response=answer))
    return usage
