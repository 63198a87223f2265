"""One call to a provider: a slot among all calls of the machine, and a limit on its time.

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
from typing import TypeVar

from aira_lib.errors import UserError
from aira_lib.settings import Settings

_POLL = (0.02, 0.08)  # seconds between two looks for a free slot; random, so that those who wait do not march in step

ValueT = TypeVar("ValueT")


class NoSlot(Exception):
    """No call was made: the time that was left passed before there was a slot for one."""


def limited(call: Callable[[], ValueT], seconds: float = math.inf) -> ValueT:
    """Make a call in a slot of its own and within its time.

    Libraries limit the time between two bytes; a server that trickles would hold a search for ever. So the call has
    a thread of its own, which is given up with what it waits for (its slot stays taken as long as it really lasts).

    Args:
        call: What to do.
        seconds: What is left for waiting and call together; the call alone has `call_seconds()` at most.

    Raises:
        TimeoutError: it took too long. Else what the call raises.
        NoSlot: there was none within the time.
        UserError: a setting of the environment is no number above 0.
    """
    until = time.monotonic() + seconds
    slot = _slot(until)
    allowed = max(0.0, min(call_seconds(), until - time.monotonic()))
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
        value, error = answers.get(timeout=allowed)
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


def calls_at_once() -> float:
    """Calls that may be in flight at once on this machine.

    Raises:
        UserError: AIRA_CONCURRENT_CALLS is no number above 0.
    """
    return _number("AIRA_CONCURRENT_CALLS", math.inf)


def _slot(until: float) -> ExitStack:
    """Wait for one of the machine's slots until a time of the monotonic clock; closing it sets it free."""
    most = calls_at_once()
    held = ExitStack()
    if most == math.inf:
        return held
    folder = Settings.from_environment().scratch / "calls"
    folder.mkdir(parents=True, exist_ok=True)
    while True:
        for number in range(max(1, int(most))):
            if _locked(folder / f"slot-{number}", held):
                return held
        if (left := until - time.monotonic()) <= 0:
            raise NoSlot
        time.sleep(min(left, random.uniform(*_POLL)))


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
