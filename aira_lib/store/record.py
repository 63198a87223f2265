"""A record in a store: a folder that exists once its manifest does, and the local folder where it is worked on.

A folder without a manifest is unfinished work: the files that were pushed to it are what a resumed stage starts from.
"""

import hashlib
import shutil
from collections.abc import Collection, Iterator
from pathlib import Path

from pydantic import ValidationError

from aira_lib.errors import StoreError, nearest
from aira_lib.records import FileEntry, Manifest
from aira_lib.store.base import MANIFEST, TEMPORARY, Store, is_temporary, safe_name
from aira_lib.store.local import disk_errors


def file_entry(path: Path, name: str) -> FileEntry:
    """Measure a file: its size in bytes and its SHA-256."""
    with path.open("rb") as handle:
        sha256 = hashlib.file_digest(handle, "sha256").hexdigest()
        return FileEntry(name=name, bytes=handle.tell(), sha256=sha256)


class RecordFolder:
    """One record, named by its prefix in a store.

    On a file system the work happens in the record's own folder. Elsewhere it happens in a scratch folder, and
    `push` and `commit` copy from it; the scratch folder may be lost at any time.
    """

    def __init__(self, store: Store, prefix: str) -> None:
        self.store = store
        self.prefix = safe_name(prefix)
        self._path: Path | None = None
        self._stored: dict[str, FileEntry] = {}  # what the store is known to hold, where that is not the workspace

    @property
    def uri(self) -> str:
        """Where the record is."""
        return f"{self.store.uri}/{self.prefix}"

    def manifest(self) -> Manifest | None:
        """Return the manifest, or None while the record is not finished.

        Raises:
            StoreError: the store refuses, or the manifest is damaged or of another version of the software.
        """
        name = safe_name(self.prefix, MANIFEST)
        if not self.store.exists(name):
            return None
        try:
            return Manifest.model_validate_json(self.store.read(name))
        except ValidationError:
            raise StoreError(f"{self.uri}/{MANIFEST}: not a manifest; remove {self.uri} to make it again") from None

    def workspace(self, scratch: Path) -> Path:
        """Return the local folder to work in, holding what an interrupted attempt pushed.

        Where the store is not a file system, the folder below `scratch` is made equal to the store's: local files
        that were not pushed are dropped, for another machine may have gone on since.

        Raises:
            StoreError: the record is finished already, or store or disk refuse.
        """
        self._refuse_second()
        here = self.store.folder(self.prefix)
        self._path = here or scratch / self.prefix
        self._stored.clear()
        with disk_errors(self._path):
            if here is None and self._path.exists():
                shutil.rmtree(self._path)
            self._path.mkdir(parents=True, exist_ok=True)
            for leftover in sorted(self._path.rglob(f"*{TEMPORARY}"), reverse=True):
                _remove(leftover)
        if here is None:
            for name in self._names_in_store():
                self.store.get(safe_name(self.prefix, name), self._path / name)
                self._stored[name] = file_entry(self._path / name, name)
        return self._path

    def push(self, name: str) -> None:
        """Make the store's copy of one file equal to the workspace's: copied, or removed when it is gone there.

        Raises:
            StoreError: store or disk refuse.
        """
        path, full = self._workspace / name, safe_name(self.prefix, name)
        if not path.exists():
            self.store.remove(full)
            self._stored.pop(name, None)
        elif self.store.folder(self.prefix):
            self.store.put(path, full)
        else:
            self._upload(file_entry(path, name))

    def commit(self, manifest: Manifest, leave_out: Collection[str] = ()) -> Manifest:
        """Finish the record: store all files of the workspace, then the manifest that lists them.

        Args:
            manifest: all of the manifest but its files.
            leave_out: names of files or folders that are no part of the record.

        Returns:
            The manifest with its files: regular files only, sorted by name, temporary ones skipped.

        Raises:
            StoreError: the record is finished already, or store or disk refuse.
        """
        self._refuse_second()
        with disk_errors(self._workspace):
            files = tuple(file_entry(self._workspace / name, name) for name in _names(self._workspace, leave_out))
        for entry in files:
            if self.store.folder(self.prefix):
                self.store.put(self._workspace / entry.name, safe_name(self.prefix, entry.name))
            else:
                self._upload(entry)
        self._remove_strays({entry.name for entry in files}, leave_out)
        finished = manifest.model_copy(update={"files": files})
        self.store.write(safe_name(self.prefix, MANIFEST), finished.json_line().encode())
        return finished

    def fetch(self, scratch: Path, only: Collection[str] | None = None) -> Path:
        """Return a local folder with the files of a finished record, each verified by size and SHA-256.

        Args:
            scratch: where to download to, unless the store is a file system; files already there are used.
            only: names of the files wanted; all by default.

        Raises:
            StoreError: no such record, no such file in it, a file that differs, or store or disk refuse.
        """
        manifest = self.manifest()
        if manifest is None:
            raise StoreError(f"{self.uri}: no finished record there; run the stage that makes it first")
        entries = {entry.name: entry for entry in manifest.files}
        for name in only or ():
            if name not in entries:
                raise StoreError(f"{self.uri}: the record has no file {name!r}{nearest(name, entries)}")
        here = self.store.folder(self.prefix)
        path = here or scratch / self.prefix
        for name in entries if only is None else only:
            whole = _matches(path / name, entries[name])
            if not whole and here is None:
                self.store.get(safe_name(self.prefix, name), path / name)
                whole = _matches(path / name, entries[name])
            if not whole:
                raise StoreError(f"{self.uri}/{name}: differs from its manifest; remove {self.uri} to make it again")
        return path

    @property
    def _workspace(self) -> Path:
        if self._path is None:
            raise RuntimeError(f"workspace() of {self.prefix} was not asked for")
        return self._path

    def _refuse_second(self) -> None:
        if self.store.exists(safe_name(self.prefix, MANIFEST)):
            raise StoreError(f"{self.uri}: this record is finished; remove it first to make it again")

    def _upload(self, entry: FileEntry) -> None:
        if self._stored.get(entry.name) != entry:
            self.store.put(self._workspace / entry.name, safe_name(self.prefix, entry.name))
            self._stored[entry.name] = entry

    def _names_in_store(self) -> list[str]:
        return [name[len(self.prefix) + 1 :] for name in self.store.list(self.prefix)]

    def _remove_strays(self, wanted: Collection[str], leave_out: Collection[str]) -> None:
        """Remove what was pushed once and has left the workspace since."""
        if self.store.folder(self.prefix) is None:
            for name in self._names_in_store():
                if name not in wanted and not _left_out(name, leave_out):
                    self.store.remove(safe_name(self.prefix, name))


def _names(folder: Path, leave_out: Collection[str]) -> Iterator[str]:
    names = (
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file() and not path.is_symlink()
    )
    return (name for name in sorted(names) if not is_temporary(name) and not _left_out(name, leave_out))


def _left_out(name: str, leave_out: Collection[str]) -> bool:
    return any(name == each or name.startswith(f"{each}/") for each in leave_out)


def _matches(path: Path, entry: FileEntry) -> bool:
    with disk_errors(path):
        return path.is_file() and path.stat().st_size == entry.bytes and file_entry(path, entry.name) == entry


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()
