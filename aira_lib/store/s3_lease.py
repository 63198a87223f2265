"""Holding a name of a bucket alone: an object that its holder writes anew, each time only over what it wrote itself."""

import json
import logging
import secrets
import threading
from dataclasses import dataclass
from typing import Protocol

from aira_lib.errors import StoreError
from aira_lib.store.base import COPYING, Holder

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Tagged:
    """An object's bytes, the tag that its next write changes, and the seconds since it was written."""

    data: bytes
    tag: str
    age: float


class Objects(Protocol):
    """What a lease needs of a bucket; see `aira_lib.store.s3.S3Store`."""

    def read_tagged(self, name: str) -> Tagged | None:
        """Return an object with its tag; None where there is none."""

    def write_if(self, name: str, data: bytes, tag: str | None) -> str | None:
        """Set the bytes of the object with a tag, or of none without; the new tag, or None where it was another."""

    def list(self, prefix: str = "") -> list[str]:
        """Return all names in a folder."""

    def copy(self, name: str, to: str) -> None:
        """Give the bytes of an object another name, too."""

    def remove(self, name: str) -> None:
        """Remove an object."""


def take_object(objects: Objects, name: str, holder: Holder, seconds: float) -> "ObjectLease | None":
    """Write the object if there is none, or one whose holder is silent; None where another holds it."""
    there = objects.read_tagged(name)
    if there is not None and there.age <= seconds:
        return None
    lease = ObjectLease(objects, name, holder, seconds)
    return lease if lease.begin(there.tag if there else None) else None


class ObjectLease:
    """See `aira_lib.store.base.Held`; renewed in a thread of its own until it is released or lost."""

    def __init__(self, objects: Objects, name: str, holder: Holder, seconds: float) -> None:
        self._objects, self._name, self._holder, self._seconds = objects, name, holder, seconds
        self._token, self._beats = secrets.token_hex(8), 0
        self._tag: str | None = None  # of the object as this process wrote it last; None: not, or no longer, held
        self._writing, self._over = threading.Lock(), threading.Event()
        self._heart = threading.Thread(target=self._beat, daemon=True)

    def begin(self, tag: str | None) -> bool:
        """Write the object over the one with this tag, or where there is none; whether that went well."""
        self._tag = self._written(tag)
        if self._tag is not None:
            self._heart.start()
        return self._tag is not None

    def lost(self) -> bool:
        """See `Held`."""
        return self._tag is None

    def confirm(self) -> bool:
        """See `Held`."""
        with self._writing:
            if self._tag is not None:
                self._tag = self._written(self._tag)
        return self._tag is not None

    def take_over(self, folder: str, to: str) -> None:
        """See `Held`; the old names stay. A mark says meanwhile that the copy is not whole."""
        self._objects.write_if(to + COPYING, b"", None)
        for name in self._objects.list(folder):
            self._objects.copy(name, to + name[len(folder) :])
        self._objects.remove(to + COPYING)

    def release(self) -> None:
        """See `Held`."""
        self._over.set()
        self._heart.join()
        try:
            if self.confirm():
                self._objects.remove(self._name)
        except StoreError as error:
            _log.warning("a lease could not be given back, it ends in %g s: %s", self._seconds, error)

    def _beat(self) -> None:
        while not self.lost() and not self._over.wait(self._seconds / 4):
            try:
                self.confirm()
            except StoreError as error:
                _log.warning("a lease could not be renewed, another process may take it over: %s", error)

    def _written(self, tag: str | None) -> str | None:
        self._beats += 1
        content = {**self._holder.content(), "token": self._token, "beat": self._beats}
        data = json.dumps(content).encode()
        written = self._objects.write_if(self._name, data, tag)
        if written is None and tag is not None and (mine := self._tag_of_mine()):
            return self._objects.write_if(self._name, data, mine)
        return written

    def _tag_of_mine(self) -> str | None:
        """The tag of the object if this process wrote it: the answer to an earlier beat was lost."""
        there = self._objects.read_tagged(self._name)
        return there.tag if there and self._token.encode() in there.data else None
