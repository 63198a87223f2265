"""What went wrong in a call: whether another attempt may help, and else one line that says what to do.

Providers word the same refusal in many ways. What is read here of their texts is what several of them write, in small
letters; a text that fits nothing is still shown, without keys.
"""

import math
import re
import time
from email.utils import parsedate_to_datetime
from typing import Any, Literal

from aira_lib.agents.calls import call_seconds
from aira_lib.agents.redaction import redacted
from aira_lib.agents.usage import Usage

LONGEST_WAIT = 60.0  # seconds between two attempts

Setting = Literal["temperature", "seed"]

_RETRY_STATUS = frozenset({408, 409, 425, 429})
_RETRY_NAMES = frozenset({"APIConnectionError", "Timeout", "APITimeoutError", "APIResponseValidationError"})
_REFUSED_STATUS = (400, 413, 422)
_MOST_READ = 4_000  # characters of a provider's text
_MOST_SHOWN = 300
_TOO_LONG = (
    "context length", "context window", "context size", "context limit", "context_length", "maximum context",
    "prompt is too long", "input is too long", "input too long", "too many tokens", "prompt tokens exceed",
    "input token count", "maximum input length", "reduce the length", "request too large", "tokens + `max_new_tokens`",
)  # fmt: skip
_NO_CREDIT = (
    "insufficient_quota", "insufficient quota", "insufficient balance", "insufficient credit", "insufficient funds",
    "credit balance", "not enough credit", "out of credit", "billing hard limit", "billing_hard_limit",
    "billing_not_active", "payment required",
)  # fmt: skip
_QUOTA = "exceeded your current quota"  # OpenAI: no credit. Google: busy, and it says when to come again.
_NOT_TAKEN = (
    "support", "permitted", "not allowed", "unrecognized", "unknown", "unexpected", "deprecated", "extra input",
    "additional propert", "unavailable", "remove",
)  # fmt: skip
_OUT_OF_RANGE = ("between", "out of range", "less than", "greater than", "at most", "at least", "<=", ">=")


class MalformedAnswer(Exception):
    """A provider's answer that is no chat completion; litellm lets it pass. Another attempt may get a better one.

    Attributes:
        usage: What it cost all the same, where the provider says so.
    """

    status_code = 502

    def __init__(self, usage: Usage | None = None) -> None:
        super().__init__()
        self.usage = usage


def passing(error: Exception) -> bool:
    """Whether another attempt may not meet this error: busy (429), broken (5xx), slow, cut off, no connection."""
    if keyless(error) or without_credit(error):
        return False
    status = getattr(error, "status_code", None)
    if isinstance(status, int):
        return status in _RETRY_STATUS or status >= 500
    return isinstance(error, (ConnectionError, TimeoutError)) or type(error).__name__ in _RETRY_NAMES


def keyless(error: Exception) -> bool:
    """Whether there is no key at all: the client library says so itself, and litellm calls it a broken server."""
    return any(type(cause).__name__ == "OpenAIError" and type(cause).__module__ == "openai" for cause in _chain(error))


def without_credit(error: Exception) -> bool:
    """Whether the account has no money left, which many providers call busy (429); no waiting mends that."""
    if getattr(error, "status_code", None) not in (400, 402, 403, 429):
        return False
    if error.status_code == 402:  # type: ignore[attr-defined]
        return True
    text = _text(error)
    codes = [str(getattr(cause, "code", "")) for cause in _chain(error)]
    if "insufficient_quota" in codes or any(words in text for words in _NO_CREDIT):
        return True
    return _QUOTA in text and "retry" not in text and not wait_asked_for(error)


def prompt_too_long(error: Exception) -> bool:
    """Whether the prompt does not fit the model's context."""
    if type(error).__name__ == "ContextWindowExceededError":
        return True
    status = getattr(error, "status_code", None)
    return status in _REFUSED_STATUS and (status == 413 or any(words in _text(error) for words in _TOO_LONG))


def setting_refused(error: Exception) -> Setting | None:
    """The setting that the model does not take at all; None where that is not what was refused."""
    text = _text(error)
    if getattr(error, "status_code", None) not in _REFUSED_STATUS or any(words in text for words in _OUT_OF_RANGE):
        return None
    named: tuple[Setting, ...] = ("temperature", "seed")
    found = [name for name in named if re.search(rf"\b{name}\b", text)]
    return found[0] if found and any(words in text for words in _NOT_TAKEN) else None


def was_paid(error: Exception) -> bool:
    """Whether the provider may have worked for nothing: it took the question, and no refusal of its own came back."""
    names = {type(cause).__name__ for cause in _chain(error)}
    if names & {"ConnectError", "ConnectTimeout", "ConnectionRefusedError", "PoolTimeout"} or keyless(error):
        return False
    slow_or_cut = isinstance(error, (ConnectionError, TimeoutError)) or bool(names & _RETRY_NAMES)
    return slow_or_cut or _is_no_completion(error)


def wait_asked_for(error: Exception) -> float:
    """Seconds that the provider asks to wait (Retry-After, also a date), at most `LONGEST_WAIT`; 0 without a word."""
    said = _headers(error).get("retry-after")
    try:
        seconds = float(said or 0.0)
    except (TypeError, ValueError):
        seconds = _seconds_until(str(said))
    return min(max(seconds, 0.0), LONGEST_WAIT) if math.isfinite(seconds) else 0.0


def _seconds_until(date: str) -> float:
    try:
        return parsedate_to_datetime(date).timestamp() - time.time()
    except (ValueError, OverflowError):
        return 0.0


def what_was_wrong(error: Exception) -> str:
    """An error in words of our own, as far as there are some."""
    status = getattr(error, "status_code", None)
    names = {type(cause).__name__ for cause in _chain(error)}
    if keyless(error):
        return "no key"
    if isinstance(error, TimeoutError) or status == 408 or "APITimeoutError" in names:
        return f"no whole answer within {call_seconds():g} s"
    if isinstance(error, ConnectionError) or "APIConnectionError" in names:
        return "no connection, or one that was cut"
    if _is_no_completion(error):
        return "the answer is no chat completion"
    said = " (busy)" if status == 429 and not without_credit(error) else ""
    return type(error).__name__ + (f" (status {status})" if status else "") + said


def remedy(error: Exception, keys: str) -> str:
    """What to do about an error that is final.

    Args:
        error: The error.
        keys: The variables of the environment that hold the provider's keys.
    """
    status, text = getattr(error, "status_code", None), _text(error)
    if keyless(error):
        return f"put one into {keys}"
    if without_credit(error):
        return "the account has no credit; add some at the provider, or choose another model"
    if status in (401, 403) or type(error).__name__ in ("AuthenticationError", "PermissionDeniedError"):
        return f"check the key in {keys}"
    if status == 404 or type(error).__name__ == "NotFoundError":
        return "there is no such model at this provider, or its base URL is wrong"
    if "reasoning" in text:
        return "set another reasoning_effort, or none"
    if re.search(r"\btemperature\b", text):
        return "set another temperature"
    return "mend what it names, or choose another model"


def what_it_said(error: Exception) -> str:
    """The provider's own text in one line, without keys; empty where it says nothing of use."""
    if keyless(error) or isinstance(error, TimeoutError):
        return ""
    text = redacted(str(getattr(error, "message", "") or error)[:_MOST_READ])
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}..."


def _is_no_completion(error: Exception) -> bool:
    """Litellm's name for it is that of a broken server, but an error that a server itself sent comes with headers."""
    return isinstance(error, MalformedAnswer) or (type(error).__name__ == "InternalServerError" and not _headers(error))


def _text(error: Exception) -> str:
    return str(getattr(error, "message", "") or error)[:_MOST_READ].lower()


def _headers(error: Exception) -> Any:
    response = getattr(error, "response", None)
    return getattr(error, "litellm_response_headers", None) or getattr(response, "headers", None) or {}


def _chain(error: BaseException | None) -> list[BaseException]:
    """An error and what it was raised from."""
    found: list[BaseException] = []
    while error is not None and error not in found:
        found.append(error)
        error = error.__cause__ or error.__context__
    return found
