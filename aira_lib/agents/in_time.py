"""A bound on the time that reading what a model sent takes, kept even where the interpreter's lock is held.

A regular expression heeds signals while it runs, so the kernel's alarm ends it: the step fails and the search goes on.
`compile` and some others heed nothing. Then a watchdog that needs no lock (faulthandler's) ends the process, its
traceback on standard error; what was finished stays, and the same command goes on from there.
"""

import faulthandler
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

MOST_SECONDS = 30.0
"""Reading takes milliseconds; the longest reply that is accepted, under a second."""

_LEAST_SECONDS = 1.0
_UNTIL_KILLED = 10.0
_STDERR = 2


class TooSlow(Exception):
    """Reading was interrupted; the text says after how long."""


@contextmanager
def in_time(seconds_left: float) -> Iterator[None]:
    """Interrupt the body after `MOST_SECONDS`, or once the search's time is over, if that is sooner.

    In another thread than the main one, which alone hears signals, there is only the watchdog.

    Args:
        seconds_left: Of the search; the body gets a second in any case.

    Raises:
        TooSlow: it was interrupted.
    """
    seconds = min(MOST_SECONDS, max(_LEAST_SECONDS, seconds_left))
    inside = True

    def interrupt(number: int, frame: FrameType | None) -> None:
        if inside:
            raise TooSlow(f"reading the reply took longer than {seconds:.3g} s")

    hears = threading.current_thread() is threading.main_thread()
    faulthandler.dump_traceback_later(seconds + _UNTIL_KILLED, exit=True, file=_STDERR)
    before = signal.signal(signal.SIGALRM, interrupt) if hears else None
    try:
        if hears:
            signal.setitimer(signal.ITIMER_REAL, seconds)
        yield
    finally:
        inside = False
        faulthandler.cancel_dump_traceback_later()
        if hears:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
