"""Waiting for what is away, and for another process that has the same at hand."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TypeVar

from aira_lib.cluster.rest import Unanswered
from aira_lib.errors import StoreError
from aira_lib.store.base import Held, Holder, Store
from aira_lib.store.lease import lease

T = TypeVar("T")

SECONDS = 30.0
"""Between two tries."""

PATIENCE_SECONDS = 6 * 3600.0
"""For how long Kubeflow's API or the store may be away."""

GRANTED_SECONDS = 120.0
"""One that is silent in S3 for so long is taken for dead, and another gets its turn."""


class TakenOver(Exception):
    """Another got this one's turn: it was silent for too long."""


class Patience:
    """Waits, and says for what.

    Args:
        say: Told a line.
        pause: Waits so many seconds.
    """

    def __init__(self, say: Callable[[str], None], pause: Callable[[float], None] = time.sleep) -> None:
        self._say, self._pause = say, pause

    def given(self, call: Callable[[], T]) -> T:
        """What a call gives; it is repeated while Kubeflow's API or the store do not answer."""
        waited = 0.0
        while True:
            try:
                return call()
            except (Unanswered, StoreError) as error:
                if waited >= PATIENCE_SECONDS:
                    raise
                self._say(f"{error}; again in {SECONDS:.0f} s")
                self._pause(SECONDS)
                waited += SECONDS

    @contextmanager
    def alone(self, store: Store, name: str, seconds: float = GRANTED_SECONDS) -> Iterator["Turn"]:
        """Within, no other process has its turn, unless this one is silent for too long.

        Args:
            store: what is shared.
            name: of the turn, in the store.
            seconds: see `GRANTED_SECONDS`.
        """
        told = list[Holder]()

        def waiting(holder: Holder | None) -> bool:
            if holder and holder not in told:
                told.append(holder)
                self._say(f"{holder} is at it already; waits for it")
            self._pause(SECONDS)
            return False

        with ExitStack() as stack:
            held = self.given(lambda: stack.enter_context(lease(store, name, waiting, seconds)))
            assert held is not None
            yield Turn(held, self)


class Turn:
    """That of this process; `Patience.alone` gives it."""

    def __init__(self, held: Held, patience: Patience) -> None:
        self._held, self._patience = held, patience

    def confirm(self) -> None:
        """Go on only where no other got it: asked before what must not be done twice.

        Raises:
            TakenOver: another did.
        """
        if not self._patience.given(self._held.confirm):
            raise TakenOver
