"""Which runs a fan-out is to start: written down before the first of them is, so that whoever goes on has the same."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from uuid import UUID, uuid5

from aira_lib.remote.chunk import Item
from aira_lib.remote.loop import Loop
from aira_lib.store import Store
from aira_lib.store.base import safe_name
from aira_lib.study import canonical_json

PLANS = "plans"
"""Folder of a study."""

_NAMESPACE = UUID("6f3b5c1e-6a0f-5d7c-9d0a-3c1f3f0a7f11")


@dataclass(frozen=True)
class Planned:
    """A run that is to be: its id, its name in the UI, and the names of its items."""

    id: str
    name: str
    items: tuple[str, ...]


class Plans:
    """The plans of one loop in one run.

    A run that was given up, for too many units failed, may be started again by Kubeflow's Retry: that is its next
    attempt, with plans of its own.

    Args:
        store: Where they are kept.
        loop: Whose.
        parent: Id of the run.
    """

    def __init__(self, store: Store, loop: Loop, parent: str) -> None:
        self._store, self._loop, self._parent = store, loop, parent

    @property
    def turn(self) -> str:
        """The name in the store of the lease of whoever is at it."""
        return self._name("turn")

    def attempt(self) -> int:
        """How often the run was given up before."""
        attempt = 0
        while self._store.exists(self._name(f"{attempt}.given-up")):
            attempt += 1
        return attempt

    def has_begun(self, attempt: int) -> bool:
        """Whether there is a plan of an attempt."""
        return self._store.exists(self._name(f"{attempt}-0.json"))

    def give_up(self, attempt: int) -> None:
        """Say that an attempt has come to its end without enough records."""
        self._store.create(self._name(f"{attempt}.given-up"), b"")

    def of_round(self, attempt: int, number: int, chunks: Sequence[Sequence[Item]]) -> list[Planned]:
        """The runs of a round: those that were written down, which are those of `chunks` where none were."""
        round_ = f"{attempt}-{number}"
        made = [self._planned(round_, each, part, len(chunks)) for part, each in enumerate(chunks, start=1)]
        file = self._name(f"{round_}.json")
        if self._store.create(file, json.dumps([asdict(each) for each in made]).encode()):
            return made
        return [Planned(each["id"], each["name"], tuple(each["items"])) for each in json.loads(self._store.read(file))]

    def _planned(self, round_: str, items: Sequence[Item], part: int, of: int) -> Planned:
        names = tuple(item.name for item in items)
        what = canonical_json([self._parent, self._loop.name, round_, names])
        title = f"{self._loop.study.name}: {self._loop.name}, part {part} of {of}"
        return Planned(str(uuid5(_NAMESPACE, what)), title, names)

    def _name(self, name: str) -> str:
        return safe_name(self._loop.study.name, PLANS, self._parent, f"{self._loop.name}-{name}")
