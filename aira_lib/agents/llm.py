"""Language models of any provider through litellm: attempts, prices, and refusals as one line with the remedy."""

import importlib
import math
import os
import random
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from types import ModuleType
from typing import Any

from aira_lib.agents.bounds import MAX_REPLY
from aira_lib.agents.calls import NoSlot, call_seconds, limited
from aira_lib.agents.model import Refused, Reply
from aira_lib.agents.prompt import Prompt
from aira_lib.agents.refusals import (
    LONGEST_WAIT,
    MalformedAnswer,
    Setting,
    passing,
    prompt_too_long,
    remedy,
    setting_refused,
    wait_asked_for,
    was_paid,
    what_it_said,
    what_was_wrong,
)
from aira_lib.agents.usage import Usage, added, estimated, tokens_of
from aira_lib.errors import MissingDependency, UserError
from aira_lib.study.agent import ReasoningEffort

_RETRIES = 6
_FIRST_WAIT = 1.0  # seconds; doubled from one attempt to the next


class LiteLLMModel:
    """A model of any provider that litellm knows, or of any OpenAI-compatible server (OPENAI_API_BASE).

    Attributes:
        left_out: Settings that the provider refused by name: it is asked without them from then on.
    """

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
        self.left_out: set[Setting] = set()
        self._said: list[float] = []  # characters of the replies so far

    def reply(self, prompt: Prompt, seed: int) -> Reply:
        """Call the provider; wait and try again when it is busy, broken or out of reach, while the prompt's time lasts.

        Raises:
            Refused: it refuses for good, or still fails after all attempts.
        """
        until, lost, attempt = time.monotonic() + prompt.seconds, Usage(), 0
        while (left := until - time.monotonic()) > 0:
            try:
                reply = limited(lambda: self._call(prompt, seed, left), left)
                return replace(reply, usage=added(lost, reply.usage))
            except NoSlot:
                break
            except UserError:
                raise
            except Exception as error:
                lost = added(lost, self._lost(prompt, error))
                if prompt_too_long(error):
                    return Reply("", lost, "context")
                refused = setting_refused(error)
                if refused and refused not in self.left_out:
                    self.left_out.add(refused)
                    continue
                wait = self._wait(error, attempt, lost)
            attempt += 1
            self._sleep(min(wait, max(0.0, until - time.monotonic())))
        return Reply("", lost, "time")

    def _wait(self, error: Exception, attempt: int, lost: Usage) -> float:
        """Seconds to wait before the next attempt.

        Raises:
            Refused: there shall be none.
            Exception: the error itself, where it is not the provider's doing.
        """
        if not passing(error) and not hasattr(error, "status_code"):
            raise error
        if not passing(error) or attempt == _RETRIES:
            raise Refused(self._refusal(error), lost) from None
        # Jitter: parallel searches must not come back all at once.
        wait, asked = min(LONGEST_WAIT, _FIRST_WAIT * 2**attempt) * random.uniform(0.5, 1.5), wait_asked_for(error)
        return wait if wait >= asked else asked * random.uniform(1.0, 1.1)

    def _call(self, prompt: Prompt, seed: int, seconds: float = math.inf) -> Reply:
        call: dict[str, Any] = {
            "model": self.name,
            "messages": [{"role": "user", "content": prompt.text}],
            "temperature": self.temperature,
            "seed": seed,
            "timeout": min(call_seconds(), seconds),
            "num_retries": 0,
            "max_retries": 0,  # the attempts are ours, those of the client library besides would not be counted
            "drop_params": True,  # a provider that knows no seed or temperature is asked without
        }
        asked = {name: value for name, value in (call | self._options).items() if name not in self.left_out}
        answer = self._litellm.completion(**asked)
        counts = getattr(answer, "usage", None)
        if not answer.choices:
            raise MalformedAnswer(self._usage(answer, counts, prompt, 0) if counts else None)
        message = answer.choices[0].message
        finish = getattr(answer.choices[0], "finish_reason", None) or "stop"
        text, thought, refusal = _content(message)
        usage = self._usage(answer, counts, prompt, len(text) + len(thought) + len(refusal))
        self._said.append(len(text) + len(thought))
        if not text.strip() and refusal:
            text, finish = refusal, "refusal"
        elif not text.strip() and thought:
            # Some servers take all for reasoning, the answer too. What was cut off there has come to no answer.
            text = f"<think>{thought}" if finish == "length" else thought
        # One character more than a reply may have: enough to be told that it was too long.
        return Reply(text[: MAX_REPLY + 1], usage, "" if finish == "stop" else str(finish))

    def _usage(self, answer: Any, counts: Any, prompt: Prompt, said: int) -> Usage:
        usage = {"calls": 1.0, **tokens_of(counts, len(prompt.text), said)}
        return usage | self._dollars(usage, None if "estimated" in usage else answer)

    def _lost(self, prompt: Prompt, error: Exception) -> Usage:
        """What a call used that brought nothing: as the provider says, or an estimate where it worked in vain."""
        if isinstance(error, MalformedAnswer) and error.usage:
            return {**error.usage, "useless": 1.0}
        if not was_paid(error):
            return {"calls": 1.0}
        usage = {"calls": 1.0, "useless": 1.0, **estimated(len(prompt.text), self._usual())}
        return usage | self._dollars(usage)

    def _usual(self) -> float:
        """The mean length of the replies so far, in characters."""
        return sum(self._said) / len(self._said) if self._said else 0.0

    def _dollars(self, usage: Usage, answer: Any = None) -> Usage:
        """The price of an answer, or of tokens, where one is known."""
        if answer is not None:
            with suppress(Exception):  # the answer names its model in another way than it was asked for
                return {"dollars": float(self._litellm.completion_cost(completion_response=answer))}
        tokens = {name: round(usage[name]) for name in ("prompt_tokens", "completion_tokens")}
        with suppress(Exception):  # no price is known of this model
            return {"dollars": float(sum(self._litellm.cost_per_token(model=self.name, **tokens)))}
        return {}

    def accepted(self) -> dict[str, bool | None]:
        """Whether the provider takes temperature, seed and, if it is set, reasoning effort (None: unknown)."""
        try:
            known = self._litellm.get_supported_openai_params(model=self.name)
        except Exception:  # litellm knows no such model; the call itself has worked all the same
            known = None
        names = ("temperature", "seed", *(["reasoning_effort"] if "reasoning_effort" in self._options else []))
        return {name: False if name in self.left_out else name in known if known else None for name in names}

    def _refusal(self, error: Exception) -> str:
        """One line: what was refused, what to do, and the provider's own words without keys."""
        what = f"model {self.name!r}: {what_was_wrong(error)}"
        if passing(error):
            what = f"{what} after {_RETRIES + 1} attempts; run the same command again later, nothing is lost"
        else:
            what = f"{what}; {remedy(error, self._key_variables())}"
        said = what_it_said(error)
        return f"{what} (it said: {said})" if said else what

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


def _content(message: Any) -> tuple[str, str, str]:
    """What a message says, what it thought before, and its refusal; each may be missing, or in parts."""
    content = getattr(message, "content", None) or ""
    if not isinstance(content, str):
        parts = [part.get("text") if isinstance(part, dict) else part for part in content]
        content = "".join(part for part in parts if isinstance(part, str))
    more = getattr(message, "provider_specific_fields", None) or {}  # where litellm puts what it has no place for
    others = (getattr(message, name, None) or more.get(name) for name in ("reasoning_content", "refusal"))
    thought, refusal = (other if isinstance(other, str) else "" for other in others)
    return content, thought, refusal
