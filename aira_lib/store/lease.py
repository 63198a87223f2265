"""One at a time among all processes and machines that share a store: a lease that ends with its holder.

In a folder it is a locked file, in S3 an object that its holder writes anew every few seconds; one that was left alone
for longer than `seconds` may be taken over. A holder that was only slow (a machine that slept, a network that was away)
may find that another has taken over: whoever must not do a thing twice asks `Held.confirm` before it counts.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from aira_lib.store.base import Held, Holder, Store

SECONDS = 30.0
"""A holder in S3 that is silent for so long is taken for dead; it writes four times as often."""

_FIRST_WAIT, _LONGEST_WAIT = 0.01, 0.5


@contextmanager
def lease(
    store: Store, name: str, enough: Callable[[Holder | None], bool], seconds: float = SECONDS
) -> Iterator[Held | None]:
    """Hold the lease of a name while the block runs; waits for it, unless there is nothing left to wait for.

    Args:
        store: what is shared.
        name: of the lock in the store; it is gone when nobody holds or wants it.
        enough: asked while another holds the lease, with who does if it says so; True ends the wait.
        seconds: see `SECONDS`; of S3 only.

    Yields:
        The lease; None after `enough`.

    Raises:
        StoreError: disk or bucket refuse.
    """
    held = _waited(store, name, enough, seconds)
    try:
        yield held
    finally:
        if held:
            held.release()


def _waited(store: Store, name: str, enough: Callable[[Holder | None], bool], seconds: float) -> Held | None:
    """Try until it is taken or enough."""
    wait = _FIRST_WAIT
    while (held := store.take(name, Holder.here(), seconds)) is None:
        if enough(store.holder(name)):
            return None
        time.sleep(wait)
        wait = min(2 * wait, _LONGEST_WAIT, seconds / 10)
    return held
