"""One attempt at making a record: a folder of its own, in which nobody else writes, and the commit that only one wins.

study/search/greedy.s0-5f3a.../lease          held by who makes the record; gone when nobody does
study/search/greedy.s0-5f3a.../2-9c41d07b/    the files of its second attempt, which began with those of the first
study/search/greedy.s0-5f3a.../manifest.json  written last, only if there is none: it names the attempt that won
study/search/greedy.s0-5f3a.../shared/        what others write for it, whichever attempt it is of; gone at the end
study/search/greedy.s0-5f3a.../page.html      a view, no part of the record
"""

import re
import secrets
import shutil
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from aira_lib.records import FileEntry, Manifest
from aira_lib.store.base import COPYING, MANIFEST, TEMPORARY, Held, Store, is_temporary, safe_name
from aira_lib.store.files import disk_errors, file_entry

SHARED = "shared"
"""The folder of what other machines write for a record, such as checkpoints of ranks that outlive an attempt."""

_NAME = re.compile(r"(\d+)-[0-9a-f]{8}")


class LostClaim(Exception):
    """Another has taken over what this process makes, or has finished it: what was done here does not count."""


def attempts_in(store: Store, record: str) -> list[str]:
    """Names of the attempts that left files, oldest first; not of those that had not copied their predecessor's yet."""
    return [name for name, whole in _begun_in(store, record) if whole]


def _begun_in(store: Store, record: str) -> list[tuple[str, bool]]:
    """Names of all attempts that left something, oldest first, and whether each is whole."""
    names = {name[len(record) + 1 :].partition("/")[0] for name in store.list(record)}
    begun = {name.removesuffix(COPYING) for name in names if _NAME.fullmatch(name.removesuffix(COPYING))}
    in_order = sorted(begun, key=lambda name: int(name.partition("-")[0]))
    return [(name, name + COPYING not in names) for name in in_order]


class Attempt:
    """The workplace of one attempt. Files in `path` survive an interruption once they are pushed."""

    def __init__(self, store: Store, record: str, held: Held, scratch: Path, views: Collection[str] = ()) -> None:
        """Name one; `begin` comes next.

        Args:
            store: where the record lies.
            record: its folder there.
            held: its lease.
            scratch: for local files of a store that is no folder.
            views: names of files that are pushed to the record's own folder and are no part of the record.

        Raises:
            StoreError: the store refuses.
        """
        self._before = _begun_in(store, record)
        number = int(self._before[-1][0].partition("-")[0]) + 1 if self._before else 1
        self.name = f"{number}-{secrets.token_hex(4)}"
        self._store, self._record, self._held, self._scratch, self._views = store, record, held, scratch, views
        self._adopted: dict[str, FileEntry] = {}  # of files that lie in the store alone
        self._pushed: dict[str, tuple[int, int]] = {}  # size and time of change of what the store holds
        self.path = store.local(self._prefix, scratch)

    def begin(self) -> None:
        """Make the workplace, with the files that the last attempt had pushed.

        Raises:
            StoreError: store or disk refuse.
        """
        # All but the last whole one are of no use; its holder may only have been slow, and still commit.
        last = next((name for name, whole in reversed(self._before) if whole), None)
        self._forget(name for name, _ in self._before if name != last)
        if last:
            self._held.take_over(safe_name(self._record, last), self._prefix)
        with disk_errors(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            for leftover in sorted(self.path.rglob(f"*{TEMPORARY}"), reverse=True):
                _remove(leftover)
        for name in self._names_in_store():
            self._store.get(safe_name(self._prefix, name), self.path / name)
            self._pushed[name] = _stamp(self.path / name)

    @property
    def _prefix(self) -> str:
        return safe_name(self._record, self.name)

    def push(self, name: str) -> None:
        """Make the store's copy of one file equal to the workplace's: copied, or removed when it is gone there.

        Raises:
            LostClaim: another has taken over.
            StoreError: store or disk refuse.
        """
        if self._held.lost():
            raise LostClaim
        path = self.path / name
        full = safe_name(self._record if name in self._views else self._prefix, name)
        if path.exists():
            stamp = _stamp(path)
            self._pushed.pop(name, None)
            self._store.put(path, full)
            self._pushed[name] = stamp
        else:
            self._store.remove(full)
            self._pushed.pop(name, None)

    @property
    def shared(self) -> str:
        """URI of the folder of the store in which other machines write for this record."""
        return f"{self._store.uri}/{self._record}/{SHARED}"

    def adopt(self, entry: FileEntry) -> None:
        """Have a file of the shared folder in the record, without a copy in the workplace.

        Args:
            entry: its name there, which is its name in the record, and what it is.

        Raises:
            LostClaim: another has taken over.
            StoreError: the store refuses.
        """
        if self._held.lost():
            raise LostClaim
        self._store.copy(safe_name(self._record, SHARED, entry.name), safe_name(self._prefix, entry.name))
        self._adopted[entry.name] = entry

    def commit(self, manifest: Manifest) -> Manifest:
        """Finish the record: store all files, then, if no other attempt has won, the manifest that lists them.

        Args:
            manifest: all of the manifest but its attempt and files.

        Returns:
            The manifest with its attempt and files: regular files only, sorted by name, temporary ones skipped.

        Raises:
            LostClaim: another has taken over, or has finished the record; nothing of this attempt counts.
            StoreError: store or disk refuse.
        """
        with disk_errors(self.path):
            here = [file_entry(self.path / name, name) for name in _names(self.path, self._views)]
        files = tuple(sorted({**self._adopted, **{entry.name: entry for entry in here}}.values(), key=_by_name))
        for entry in here:
            if self._pushed.get(entry.name) != _stamp(self.path / entry.name):
                self.push(entry.name)
        wanted = {entry.name for entry in files}
        for name in set(self._names_in_store()) - wanted:
            self._store.remove(safe_name(self._prefix, name))
        finished = manifest.model_copy(update={"attempt": self.name, "files": files})
        if not self._held.confirm() or not wanted.issubset(self._names_in_store()):
            raise LostClaim
        if not self._store.create(safe_name(self._record, MANIFEST), finished.json_line().encode()):
            raise LostClaim
        self._forget(name for name, _ in _begun_in(self._store, self._record) if name != self.name)
        self._store.remove(safe_name(self._record, SHARED))
        for name in self._views:
            (self.path / name).unlink(missing_ok=True)
        return finished

    def leave(self) -> None:
        """Remove this machine's copies alone: what the store holds is for whoever took over to go on from."""
        if self._store.shown(self._prefix) != str(self.path):
            shutil.rmtree(self.path, ignore_errors=True)

    def discard(self) -> None:
        """Remove the files of an attempt that lost."""
        self._forget([self.name])

    def _names_in_store(self) -> list[str]:
        return [name[len(self._prefix) + 1 :] for name in self._store.list(self._prefix)]

    def _forget(self, attempts: Iterable[str]) -> None:
        for name in attempts:
            prefix = safe_name(self._record, name)
            self._store.remove(prefix)
            self._store.remove(prefix + COPYING)
            shutil.rmtree(self._store.local(prefix, self._scratch), ignore_errors=True)


def _by_name(entry: FileEntry) -> str:
    return entry.name


def _names(folder: Path, leave_out: Collection[str]) -> Iterator[str]:
    names = (
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file() and not path.is_symlink()
    )
    return (name for name in sorted(names) if not is_temporary(name) and name not in leave_out)


def _stamp(path: Path) -> tuple[int, int]:
    """Tells whether a file has changed: size in bytes, time of change in nanoseconds."""
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def matches(path: Path, entry: FileEntry) -> bool:
    """Whether a local file is what a manifest says of it."""
    with disk_errors(path):
        return path.is_file() and path.stat().st_size == entry.bytes and file_entry(path, entry.name) == entry


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()
