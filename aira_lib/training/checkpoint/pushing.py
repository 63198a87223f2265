"""Files on their way to the store: tried again with growing pauses, and kept in mind while the store refuses."""

import logging
import random
import time
from collections.abc import Callable, Iterable

from aira_lib.errors import StoreError

_log = logging.getLogger(__name__)

Push = Callable[[str], None]
"""Makes the store's copy of a file equal to the workspace's, removal included (`aira_lib.store.Attempt.push`)."""

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0
PATIENCE = 20.0
"""Seconds in which at least one file must get through."""


class Pushing:
    """What the store does not have yet.

    Removals wait for all copies: the store keeps an old checkpoint until a newer one is there whole.
    """

    def __init__(self, push: Push, patience: float = PATIENCE) -> None:
        """Begin with nothing to do.

        Args:
            push: copies or removes one file; raises `StoreError` when the store refuses.
            patience: seconds without any success after which `flush` gives up.
        """
        self._push, self._patience = push, patience
        self._copies: dict[str, None] = {}  # in the order in which they go
        self._removals: dict[str, None] = {}

    def __bool__(self) -> bool:
        """Whether something is left to do."""
        return bool(self._copies or self._removals)

    def copy(self, names: Iterable[str]) -> None:
        """Let the store have these files, in this order."""
        for name in names:
            self._forget(name)
            self._copies[name] = None

    def remove(self, names: Iterable[str]) -> None:
        """Let the store lose these files, which are gone here, in this order."""
        for name in names:
            self._forget(name)
            self._removals[name] = None

    def _forget(self, name: str) -> None:
        self._copies.pop(name, None)
        self._removals.pop(name, None)

    def flush(self) -> bool:
        """Do all that is left; True.

        Raises:
            StoreError: nothing got through for `patience` seconds; what is left is done at the next call.
        """
        for waiting in (self._copies, self._removals):
            while waiting:
                name = next(iter(waiting))
                self._insist(name)
                del waiting[name]
        return True

    def flush_or_put_off(self) -> bool:
        """`flush`, but what the store refuses is told in a warning and done at the next call; True."""
        try:
            return self.flush()
        except StoreError as error:
            _log.warning("a checkpoint is not in the store yet: %s; it is pushed with the next one", error)
            return True

    def _insist(self, name: str) -> None:
        end, pause = time.monotonic() + self._patience, FIRST_PAUSE
        while True:
            try:
                return self._push(name)
            except StoreError:
                # Up to the whole pause at random: ranks and runs that failed together do not come back together.
                wait = random.uniform(pause / 2, pause)
                if time.monotonic() + wait > end:
                    raise
            time.sleep(wait)
            pause = min(2 * pause, LONGEST_PAUSE)
