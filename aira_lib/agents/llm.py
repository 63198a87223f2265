"""Models: what turns a prompt into a reply. Any provider through litellm, the offline agent, or recorded replies."""

import contextlib
import importlib
import math
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

from aira_lib.agents.prompt import Prompt
from aira_lib.errors import MissingDependency, UserError

OFFLINE = "offline"
REPLAY = "replay:"

_RETRIES = 6
_FIRST_WAIT, _LONGEST_WAIT = 1.0, 60.0  # seconds; doubled from one attempt to the next
_TIMEOUT = 600.0  # seconds that one call may take
_CHARACTERS_A_TOKEN = 3.0  # English and code have about 4; rather too many tokens than too few
_RETRY_STATUS = frozenset({408, 409, 425, 429})
_RETRY_NAMES = frozenset({"APIConnectionError", "Timeout", "APITimeoutError", "APIResponseValidationError"})


@dataclass(frozen=True)
class Reply:
    """A model's answer; `usage` counts calls, tokens and dollars as far as the provider tells."""

    text: str
    usage: dict[str, float] = field(default_factory=dict)


class Model(Protocol):
    """Something that answers prompts. Equal prompts and seeds should give equal replies; few providers promise it."""

    @property
    def name(self) -> str:
        """How the model is called in records."""

    def reply(self, prompt: Prompt, seed: int) -> Reply:
        """Answer a prompt.

        Raises:
            UserError: the model cannot be reached or refuses; one line with the remedy.
        """


def model_named(name: str, temperature: float = 1.0) -> Model:
    """Return a model by name.

    "offline" is the embedded agent, "replay:PATH" a recording (a file, or the folder of a search's record), anything
    else a litellm model such as "openai/gpt-5".

    Raises:
        MissingDependency: litellm is not installed.
        UserError: there is no such recording.
    """
    if name == OFFLINE:
        from aira_lib.agents.offline import OfflineAgent

        return OfflineAgent()
    if name.startswith(REPLAY):
        from aira_lib.agents.replay import ReplayModel

        return ReplayModel(Path(name.removeprefix(REPLAY)))
    return LiteLLMModel(name, temperature)


class LiteLLMModel:
    """A model of any provider that litellm knows, or of any OpenAI-compatible server (OPENAI_API_BASE)."""

    def __init__(self, name: str, temperature: float, sleep: Callable[[float], None] = time.sleep) -> None:
        self.name = name
        self.temperature = temperature
        self._sleep = sleep
        self._litellm = _import_litellm(name)

    def reply(self, prompt: Prompt, seed: int) -> Reply:
        """Call the provider; wait and try again when it is busy, broken or out of reach.

        Raises:
            UserError: it refuses for good, or still fails after all attempts.
        """
        for attempt in range(_RETRIES + 1):
            try:
                return self._call(prompt, seed)
            except Exception as error:
                if not _passing(error) and not hasattr(error, "status_code"):
                    raise  # not the provider's doing: a bug
                if not _passing(error) or attempt == _RETRIES:
                    raise UserError(self._refusal(error)) from None
            wait = min(_LONGEST_WAIT, _FIRST_WAIT * 2**attempt)
            self._sleep(wait * random.uniform(0.5, 1.5))  # jitter: parallel searches must not come back all at once
        raise AssertionError("unreachable")

    def _call(self, prompt: Prompt, seed: int) -> Reply:
        answer = self._litellm.completion(
            model=self.name,
            messages=[{"role": "user", "content": prompt.text}],
            temperature=self.temperature,
            seed=seed,
            timeout=_TIMEOUT,
            num_retries=0,
            drop_params=True,  # a provider that knows no seed or temperature is asked without
        )
        content = answer.choices[0].message.content if answer.choices else None
        return Reply(content or "", _usage(answer, self._litellm, len(prompt.text) + len(content or "")))

    def accepted(self) -> dict[str, bool | None]:
        """Whether the provider takes temperature and seed (None: unknown); calls leave out what it does not take."""
        try:
            known = self._litellm.get_supported_openai_params(model=self.name)
        except Exception:  # litellm knows no such model; the call itself has worked all the same
            known = None
        return {name: name in known if known else None for name in ("temperature", "seed")}

    def _refusal(self, error: Exception) -> str:
        """One line: what was refused and what to do; never the provider's own text where it might hold a key."""
        status = getattr(error, "status_code", None)
        what = f"model {self.name!r}: {type(error).__name__}" + (f" (status {status})" if status else "")
        if status in (401, 403) or type(error).__name__ in ("AuthenticationError", "PermissionDeniedError"):
            return f"{what}; check the key in {self._key_variables()}"
        if status == 404 or type(error).__name__ == "NotFoundError":
            return f"{what}; there is no such model at this provider, or its base URL is wrong"
        if _passing(error):
            return f"{what} after {_RETRIES + 1} attempts; run the same command again later, nothing is lost"
        return f"{what}; see the provider's documentation of this error, or use model: {OFFLINE}"

    def _key_variables(self) -> str:
        try:
            missing = self._litellm.validate_environment(self.name).get("missing_keys") or []
        except Exception:
            missing = []
        provider = self.name.partition("/")[0] if "/" in self.name else "openai"
        return " and ".join(missing) or f"{provider.upper().replace('-', '_')}_API_KEY"


def _import_litellm(name: str) -> ModuleType:
    try:
        litellm = importlib.import_module("litellm")
    except ImportError:
        raise MissingDependency(f"model {name!r} (any but 'offline')", "agents") from None
    litellm.suppress_debug_info = True  # type: ignore[attr-defined]
    litellm.telemetry = False  # type: ignore[attr-defined]
    return litellm


def _passing(error: Exception) -> bool:
    """An error that another attempt may not meet: busy (429), broken (5xx), slow, or no connection."""
    status = getattr(error, "status_code", None)
    if isinstance(status, int):
        return status in _RETRY_STATUS or status >= 500
    return isinstance(error, (ConnectionError, TimeoutError)) or type(error).__name__ in _RETRY_NAMES


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
