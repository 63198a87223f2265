"""One call to a provider: a slot among all calls of the machine, a limit on its time, and what went wrong in words.

What is set here changes no result, so it comes from the environment and is in no study:

    AIRA_CONCURRENT_CALLS   calls in flight at once, over all searches of this machine and user   (default: no limit)
    AIRA_CALL_SECONDS       seconds after which a call without its whole answer is tried again    (default: 600)

Slots are locked files under AIRA_SCRATCH: the kernel frees those of a process that dies, however it dies. Machines
(and pods) count each for themselves.
"""

import fcntl
import math
import os
import queue
import random
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeVar

from aira_lib.errors import UserError
from aira_lib.settings import Settings

LONGEST_WAIT = 60.0  # seconds between two attempts

_RETRY_STATUS = frozenset({408, 409, 425, 429})
_RETRY_NAMES = frozenset({"APIConnectionError", "Timeout", "APITimeoutError", "APIResponseValidationError"})
_POLL = (0.02, 0.08)  # seconds between two looks for a free slot; random, so that those who wait do not march in step

ValueT = TypeVar("ValueT")


class MalformedAnswer(Exception):
    """A provider's answer that is no chat completion; litellm lets it pass. Another attempt may get a better one."""

    status_code = 502


def limited(call: Callable[[], ValueT]) -> ValueT:
    """Make a call in a slot of its own and within its time.

    Libraries limit the time between two bytes; a server that trickles would hold a search for ever. So the call has
    a thread of its own, which is given up with what it waits for (its slot stays taken as long as it really lasts).

    Raises:
        TimeoutError: it took too long. Else what the call raises.
        UserError: a setting of the environment is no number above 0.
    """
    slot = _slot()
    answers: queue.SimpleQueue[tuple[ValueT | None, BaseException | None]] = queue.SimpleQueue()

    def work() -> None:
        try:
            answers.put((call(), None))
        except BaseException as error:
            answers.put((None, error))
        finally:
            slot.close()

    threading.Thread(target=work, daemon=True).start()
    try:
        value, error = answers.get(timeout=call_seconds())
    except queue.Empty:
        raise TimeoutError from None
    if error is not None:
        raise error
    return value  # type: ignore[return-value]


def call_seconds() -> float:
    """Seconds that one call may take.

    Raises:
        UserError: AIRA_CALL_SECONDS is no number above 0.
    """
    return _number("AIRA_CALL_SECONDS", 600.0)


def _slot() -> ExitStack:
    """Wait for one of the machine's slots; closing it sets it free."""
    most = _number("AIRA_CONCURRENT_CALLS", math.inf)
    held = ExitStack()
    if most == math.inf:
        return held
    folder = Settings.from_environment().scratch / "calls"
    folder.mkdir(parents=True, exist_ok=True)
    while True:
        for number in range(max(1, int(most))):
            if _locked(folder / f"slot-{number}", held):
                return held
        time.sleep(random.uniform(*_POLL))


def _locked(path: Path, held: ExitStack) -> bool:
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return False
    held.callback(os.close, lock)
    return True


def _number(name: str, default: float) -> float:
    text = os.environ.get(name)
    if not text:
        return default
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise UserError(f"{name}={text!r} is no number above 0; set one, or unset it for the default")
    return value


def passing(error: Exception) -> bool:
    """Whether another attempt may not meet this error: busy (429), broken (5xx), slow, cut off, no connection."""
    if keyless(error):
        return False
    status = getattr(error, "status_code", None)
    if isinstance(status, int):
        return status in _RETRY_STATUS or status >= 500
    return isinstance(error, (ConnectionError, TimeoutError)) or type(error).__name__ in _RETRY_NAMES


def keyless(error: Exception) -> bool:
    """Whether there is no key at all: the client library says so itself, and litellm calls it a broken server."""
    return any(type(cause).__name__ == "OpenAIError" and type(cause).__module__ == "openai" for cause in _chain(error))


def wait_asked_for(error: Exception) -> float:
    """Seconds that the provider asks to wait (Retry-After), at most `LONGEST_WAIT`; 0 where it does not say."""
    try:
        seconds = float(_headers(error).get("retry-after", 0.0))
    except (TypeError, ValueError):  # a date; seldom, and our own waits do
        return 0.0
    return min(max(seconds, 0.0), LONGEST_WAIT) if math.isfinite(seconds) else 0.0


def what_was_wrong(error: Exception) -> str:
    """An error in words of our own: a provider's text may hold a key, or ten lines."""
    status = getattr(error, "status_code", None)
    names = {type(cause).__name__ for cause in _chain(error)}
    if keyless(error):
        return "no key"
    if isinstance(error, TimeoutError) or status == 408 or "APITimeoutError" in names:
        return f"no whole answer within {call_seconds():g} s"
    if isinstance(error, ConnectionError) or "APIConnectionError" in names:
        return "no connection, or one that was cut"
    if isinstance(error, MalformedAnswer) or (type(error).__name__ == "InternalServerError" and not _headers(error)):
        return "the answer is no chat completion"  # an error that the server itself sent comes with its headers
    said = " (busy)" if status == 429 else ""
    return type(error).__name__ + (f" (status {status})" if status else "") + said


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
