"""Growth points: named entries of one kind (primitives, stages, task families, ...), added in one place each.

An entry of your own needs no change of this package: a module that adds it is imported before the first look-up where
it is named in AIRA_PLUGINS (`my_package.primitives,other`), or where an installed package has an entry point of the
group `aira` that names it. Processes that a study starts inherit the variable, so they have the entry, too.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from typing import Generic, TypeVar

from aira_lib.errors import UserError, nearest

PLUGINS_VARIABLE = "AIRA_PLUGINS"
ENTRY_POINTS = "aira"

T = TypeVar("T")


class Registry(Generic[T]):
    """Entries of one kind by name, in the order in which they were added."""

    def __init__(self, kind: str, built_in: str = "") -> None:
        """Begin an empty one.

        Args:
            kind: what error lines call an entry, such as "primitive".
            built_in: the module that adds the entries which come with AIRA, imported before the first look-up.
        """
        self.kind, self._built_in = kind, built_in
        self._loaded = not built_in
        self._entries: dict[str, T] = {}

    def add(self, name: str, entry: T) -> T:
        """Add an entry and return it.

        Raises:
            ValueError: the name is taken.
        """
        if name in self._entries:
            raise ValueError(f"there is a {self.kind} {name!r} already")
        self._entries[name] = entry
        return entry

    def named(self, name: str) -> T:
        """The entry of a name.

        Raises:
            UserError: there is none; the line gives the nearest name.
        """
        if name not in self:
            raise UserError(f"unknown {self.kind} {name!r}{nearest(name, self.names())}")
        return self._entries[name]

    def names(self) -> tuple[str, ...]:
        """All names."""
        return tuple(self)

    def entries(self) -> tuple[T, ...]:
        """All entries."""
        return tuple(self._entries[name] for name in self)

    def __contains__(self, name: object) -> bool:
        if name not in self._entries:  # else nothing more needs to be imported: hot paths ask this
            self._load()
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        self._load()
        return iter(tuple(self._entries))

    def _load(self) -> None:
        if not self._loaded:
            import_module(self._built_in)
            self._loaded = True
        load_plugins()


def load_plugins() -> None:
    """Import the modules of AIRA_PLUGINS and those that installed packages offer, once.

    Raises:
        UserError: one of them cannot be imported.
    """
    _load(os.environ.get(PLUGINS_VARIABLE, ""))


@cache
def _load(named: str) -> None:
    for name in filter(None, map(str.strip, named.split(","))):
        with _one_line(f"{PLUGINS_VARIABLE} names {name!r}, which"):
            import_module(name)
    for point in entry_points(group=ENTRY_POINTS):
        with _one_line(f"the entry point {point.value!r} of a package"):
            point.load()


@contextmanager
def _one_line(what: str) -> Iterator[None]:
    """Whatever somebody's module raises as it is imported, a name that is taken among it, is one line."""
    try:
        yield
    except ImportError as error:
        raise UserError(f"{what} cannot be imported: {error}") from None
    except Exception as error:
        reason = (str(error).splitlines() or ["no reason given"])[0]
        raise UserError(f"{what} cannot be imported: {type(error).__name__}: {reason}") from error
