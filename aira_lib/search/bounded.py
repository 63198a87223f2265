"""A bound on a piece of work that holds even while the work holds the interpreter's lock, as no thread's could."""

import faulthandler
from collections.abc import Iterator
from contextlib import contextmanager

_STDERR = 2


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """End this process if the block takes longer, with exit code 1 and the traceback on standard error.

    What was finished stays, and the same command goes on from there. For what has bounds of its own, such as reading a
    reply, and must not hold a search beyond its hours should these fail. Blocks do not nest.
    """
    faulthandler.dump_traceback_later(seconds, exit=True, file=_STDERR)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()
