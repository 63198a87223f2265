"""Where token shards lie: a folder, which is read in place, or a store, whose files are fetched whole to this machine.

A file is given out only after its SHA-256 was found to be that of the manifest: once for each file that is fetched, and
once for each file of a folder as long as the file system says that it is unchanged (`aira_lib.contents`). Processes
share what one of them fetched, below AIRA_SCRATCH in a folder named by what the shards hold; a lock lets one fetch
while the others wait.
"""

import fcntl
import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from aira_lib.contents import file_digest
from aira_lib.datasets.shards.folder import BIN, IDX, read_manifest
from aira_lib.datasets.shards.manifest import SPLITS, Shard, Split
from aira_lib.datasets.shards.megatron import dtype_of
from aira_lib.errors import StoreError, UserError
from aira_lib.settings import scratch_folder
from aira_lib.store import open_store
from aira_lib.store.files import disk_errors
from aira_lib.study import digest

T = TypeVar("T")

WAITS = (1.0, 2.0, 4.0, 8.0, 16.0, 24.0)
"""Seconds before a store that refused is asked again; less than a minute in all."""
_NOT_ITS_HASH = "its SHA-256 is not that of the manifest"
_RESTORE = "put a whole copy there, or make the shards again with `aira data prepare`"


class StoredShards:
    """Token shards at a place.

    Attributes:
        uri: the place, a folder or ``s3://bucket/prefix``.
        manifest: what they are.
    """

    def __init__(self, uri: str) -> None:
        """Read the manifest.

        Raises:
            UserError: there is none, it is damaged, or the store refuses.
        """
        self.uri = uri
        self.store = open_store(uri)
        self.manifest = patiently(lambda: read_manifest(self.store), WAITS[:3])

    @cached_property
    def contents(self) -> str:
        """SHA-256 (hex) of what the shards hold and of how it was tokenised, wherever they lie and are called."""
        tokenizer = self.manifest.tokenizer.model_dump(mode="json", exclude={"name"})
        splits = {
            name: [(each.sha256, each.index_sha256) for each in split.shards]
            for name, split in self.manifest.splits.items()
        }
        return digest({"type": self.manifest.type, "tokenizer": tokenizer, "splits": splits})

    def check(self) -> None:
        """Refuse shards of which files are missing or of another size; none is read.

        Raises:
            UserError: one line for the first file, or for a split that is missing.
        """
        there, width = patiently(self.store.sizes, WAITS[:3]), dtype_of(self.manifest.type).itemsize
        for shard in (shard for split in SPLITS for shard in self.shards(split)):
            for name in (shard.name + BIN, shard.name + IDX):
                if name not in there:
                    raise UserError(f"{self.store.shown(name)}: missing, though the manifest names it; {_RESTORE}")
            if there[shard.name + BIN] != shard.tokens * width:
                raise _damaged(self.store.shown(shard.name + BIN), "its size is not that of its tokens")

    def shards(self, split: Split) -> tuple[Shard, ...]:
        """The shards of a split.

        Raises:
            UserError: there is no such split.
        """
        if split not in self.manifest.splits:
            raise UserError(f"{self.uri}: these shards have no split {split!r}; {_RESTORE}")
        return self.manifest.splits[split].shards

    def opened(self, name: str, sha256: str, read: Callable[[Path], T]) -> T:
        """What a function makes of a whole file of the shards, here; no process removes it meanwhile.

        Raises:
            UserError: the file is missing or damaged, or store or disk refuse.
        """
        fetched = self._cache / (sha256 + Path(name).suffix)
        with self._locked(fetched.name):
            here = self._in_place(name)
            if here is None:
                here = fetched
                if not here.exists():
                    self._fetch(name, sha256, here)
                os.utime(here)  # by which `trim` knows what was opened last
            elif not here.is_file():
                raise UserError(f"{here}: missing, though the manifest names it; {_RESTORE}")
            elif file_digest(here) != sha256:
                raise _damaged(str(here), _NOT_ITS_HASH)
            return read(here)

    def trim(self, most: int) -> None:
        """Keep so many fetched shards, those that were opened last; who has another one open reads on.

        Processes that were killed leave shards, too, so what lies there counts, not what this process fetched.
        """
        fetched = sorted(self._cache.glob(f"*{BIN}"), key=_opened_ns, reverse=True)
        for path in fetched[most:]:
            with suppress(BlockingIOError), self._locked(path.name, fcntl.LOCK_NB):
                path.unlink(missing_ok=True)

    def require_room(self, split: Split) -> None:
        """Refuse a split that does not fit the disk here.

        Raises:
            UserError: what it needs, and what there is.
        """
        width = dtype_of(self.manifest.type).itemsize
        missing = [each for each in self.shards(split) if not self._here(each)]
        needed = sum(shard.tokens for shard in missing) * width
        with disk_errors(self._cache):
            self._cache.mkdir(parents=True, exist_ok=True)
            free = shutil.disk_usage(self._cache).free
        if needed > free:
            raise UserError(
                f"{self.uri}: {needed / 1e9:,.1f} GB are to be fetched, and {self._cache} has room for "
                f"{free / 1e9:,.1f} GB; name a larger disk in AIRA_SCRATCH, or set pretrain.data.shards_at_once"
            )

    @cached_property
    def _cache(self) -> Path:
        return scratch_folder() / "shards" / self.contents[:32]

    def _in_place(self, name: str) -> Path | None:
        """The file itself where the store is a folder."""
        scratch = self._cache / "elsewhere"
        found = self.store.local(name, scratch)
        return None if found.is_relative_to(scratch) else found

    def _here(self, shard: Shard) -> bool:
        return self._in_place(shard.name + BIN) is not None or (self._cache / (shard.sha256 + BIN)).exists()

    def _fetch(self, name: str, sha256: str, to: Path) -> None:
        """Copy a file here; one that arrives damaged is fetched once more."""
        half = to.with_name(f"{to.name}.half")
        for _ in range(2):
            patiently(lambda: self.store.get(name, half), WAITS)
            with half.open("rb") as file:
                whole = hashlib.file_digest(file, "sha256").hexdigest() == sha256
            if whole:
                os.replace(half, to)
                return
            half.unlink()
        raise _damaged(self.store.shown(name), f"{_NOT_ITS_HASH}, fetched twice")

    @contextmanager
    def _locked(self, name: str, further: int = 0) -> Iterator[None]:
        lock = self._cache / f"{name}.lock"
        with disk_errors(lock):
            lock.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | further)
            except BlockingIOError:
                raise
            except OSError:
                pass  # this file system has no locks: two may fetch one file
            yield
        finally:
            os.close(descriptor)


def patiently(ask: Callable[[], T], waits: Sequence[float]) -> T:
    """What a store answers; where it refuses it is asked again after each wait.

    Raises:
        StoreError: it still refuses.
    """
    for wait in waits:
        with suppress(StoreError):
            return ask()
        time.sleep(wait)
    return ask()


def _opened_ns(path: Path) -> int:
    """When a fetched file was opened last; 0 where another process removes it at this moment."""
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def _damaged(place: str, why: str) -> UserError:
    return UserError(f"{place}: damaged: {why}; {_RESTORE}")
