"""A record in a store: a folder that exists once its manifest does. Whoever makes it claims it first."""

import logging
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path

from pydantic import ValidationError

from aira_lib.errors import StoreError, nearest
from aira_lib.records import Manifest
from aira_lib.store.attempt import Attempt, LostClaim, attempts_in, matches
from aira_lib.store.base import MANIFEST, Holder, Store, safe_name
from aira_lib.store.lease import SECONDS, lease

LEASE = "lease"

_log = logging.getLogger(__name__)


class RecordFolder:
    """One record, named by its prefix in a store."""

    def __init__(self, store: Store, prefix: str) -> None:
        self.store = store
        self.prefix = safe_name(prefix)

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

    def files(self) -> str:
        """Return the folder of the record's files, or, while it is not finished, of those that its last attempt has."""
        manifest = self.manifest()
        if manifest:
            return _folder_of(self.prefix, manifest)
        begun = attempts_in(self.store, self.prefix)
        return safe_name(self.prefix, begun[-1]) if begun else self.prefix

    def holder(self) -> Holder | None:
        """Return who makes the record at this moment, if it says so."""
        return self.store.holder(safe_name(self.prefix, LEASE))

    @contextmanager
    def claim(
        self,
        scratch: Path,
        views: Collection[str] = (),
        waiting: Callable[[Holder | None], None] = lambda holder: None,
        seconds: float = SECONDS,
    ) -> Iterator[Attempt | None]:
        """Be the one who makes the record while the block runs; waits while another does.

        Args:
            scratch: for local files of a store that is no folder.
            views: see `Attempt`.
            waiting: told now and then who makes it.
            seconds: see `aira_lib.store.lease`.

        Yields:
            The attempt, which holds the files of an interrupted one; None where the record is finished.

        Raises:
            LostClaim: another has taken over, or has finished the record; nothing of this attempt counts.
            StoreError: store or disk refuse.
        """

        def finished(holder: Holder | None) -> bool:
            waiting(holder)
            return self.manifest() is not None

        with lease(self.store, safe_name(self.prefix, LEASE), finished, seconds) as held:
            if held is None or self.manifest() is not None:
                yield None
                return
            attempt = Attempt(self.store, self.prefix, held, scratch, views)
            try:
                attempt.begin()
                yield attempt
            except Exception as error:
                made = self.manifest()
                if made is None and not held.lost():
                    raise
                if made is None:
                    attempt.leave()  # who has taken over may be copying these files at this moment
                elif made.attempt == attempt.name:  # it has won: nothing that failed afterwards can undo that
                    _log.warning("%s is finished, though its last step failed: %s", self.uri, error)
                    return
                else:  # who has won clears away the files of the others, which fail at whatever they were doing then
                    attempt.discard()
                raise LostClaim from error

    def fetch(self, scratch: Path, only: Collection[str] | None = None, unread: Collection[str] = ()) -> Path:
        """Return a local folder with the files of a finished record, each verified by size and SHA-256.

        Args:
            scratch: where to download to, unless the store is a file system; files already there are used.
            only: names of the files wanted; all by default.
            unread: patterns of files that are not wanted, such as ``checkpoints/*``.

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
        folder = _folder_of(self.prefix, manifest)
        path = self.store.local(folder, scratch)
        wanted = entries if only is None else only
        for name in (name for name in wanted if not any(fnmatchcase(name, pattern) for pattern in unread)):
            if not matches(path / name, entries[name]):
                self.store.get(safe_name(folder, name), path / name)
                if not matches(path / name, entries[name]):
                    raise StoreError(
                        f"{self.uri}/{name}: differs from its manifest; remove {self.uri} to make it again"
                    )
        return path


def _folder_of(record: str, manifest: Manifest) -> str:
    return safe_name(record, manifest.attempt) if manifest.attempt else record
