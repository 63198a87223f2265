"""A word from within a call to a model that takes its time: whoever runs a step hears of attempts that failed."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

WAITING = "waiting for the model"
"""How every such line begins."""

_heard: ContextVar[Callable[[str], None] | None] = ContextVar("heard", default=None)


@contextmanager
def hearing(listener: Callable[[str], None]) -> Iterator[None]:
    """Hand lines from within the block, and this thread, to a listener."""
    before = _heard.set(listener)
    try:
        yield
    finally:
        _heard.reset(before)


def wait_aloud(seconds: float) -> None:
    """Sleep until a model is asked again, and say so."""
    if listener := _heard.get():
        listener(f"{WAITING}: it failed or was busy, next attempt in {seconds:.0f} s")
    time.sleep(seconds)
