"""SIGTERM, by which machines are taken back: a training notices it between two steps, and saves what it has."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

EXIT_CODE = 128 + signal.SIGTERM
"""Of a process that was told to end and did; starting it again goes on from its checkpoint."""


@contextmanager
def told_to_stop() -> Iterator[Callable[[], bool]]:
    """Give a function that says whether SIGTERM came inside the block. Only a main thread can hear of it."""
    told = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield told.is_set
        return
    before = signal.signal(signal.SIGTERM, lambda number, frame: told.set())
    try:
        yield told.is_set
    finally:
        signal.signal(signal.SIGTERM, before)
