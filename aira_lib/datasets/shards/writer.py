"""Writing the shards of one split: whole documents one after another, cut at a number of tokens."""

import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import numpy as np
from numpy.typing import NDArray

from aira_lib.datasets.shards.manifest import Shard
from aira_lib.datasets.shards.megatron import Index, TokenType, write_index
from aira_lib.datasets.shards.tokenizer import Encoded
from aira_lib.store import Store, place_of
from aira_lib.store.files import file_entry, replacing


class ShardWriter:
    """Writes ``PREFIX-000.bin`` and ``.idx``, ``PREFIX-001.bin``, ...; puts each into the store when it is whole.

    A shard ends before the document with which it would have more tokens than `most`; one that has more by itself is a
    shard of its own. So the shards do not depend on how many documents come at once. Nothing is kept but lengths.

    Args:
        store: what shall have the shards.
        folder: where they are written; see `workplace`.
        prefix: of their names.
        type_: of the tokens.
        most: tokens of a shard.

    Raises:
        StoreError: the disk or the bucket refuses.
    """

    def __init__(self, store: Store, folder: Path, prefix: str, type_: TokenType, most: int) -> None:
        self.shards: list[Shard] = []
        self.tokens = 0
        self._store, self._folder, self._prefix, self._type, self._most = store, folder, prefix, type_, most
        self._open = ExitStack()
        self._handle: IO[bytes] | None = None
        self._begin()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if kind is None:
            self._finish()
        else:
            self._open.__exit__(kind, error, at)

    def add(self, encoded: Encoded) -> None:
        """Append documents."""
        ids, lengths = encoded.ids, encoded.lengths
        while len(lengths):
            fit = int(np.searchsorted(np.cumsum(lengths), self._most - self._held, side="right"))
            if not fit and self._held:
                self._finish()
                continue
            fit = max(1, fit)
            tokens = int(lengths[:fit].sum())
            self._append(ids[:tokens], lengths[:fit])
            ids, lengths = ids[tokens:], lengths[fit:]

    def _begin(self) -> None:
        self._held, self._lengths, self._digest = 0, list[NDArray[np.int64]](), hashlib.sha256()

    def _append(self, ids: NDArray[np.generic], lengths: NDArray[np.int64]) -> None:
        if self._handle is None:
            self._handle = self._open.enter_context(replacing(self._folder / f"{self._name}.bin"))
        data = np.ascontiguousarray(ids).data.cast("B")
        self._handle.write(data)
        self._digest.update(data)
        self._lengths.append(lengths)
        self._held += len(ids)
        self.tokens += len(ids)

    @property
    def _name(self) -> str:
        return f"{self._prefix}-{len(self.shards):03}"

    def _finish(self) -> None:
        """End the shard that is open, if one is."""
        if self._handle is None:
            return
        self._open.close()
        self._handle = None
        index, place = Index(self._type, np.concatenate(self._lengths)), self._folder / f"{self._name}.idx"
        write_index(place, index)
        shard = Shard(
            name=self._name, tokens=self._held, documents=len(index.lengths), sha256=self._digest.hexdigest(),
            index_sha256=file_entry(place, place.name).sha256,
        )  # fmt: skip
        for file in (f"{shard.name}.bin", f"{shard.name}.idx"):
            _hand_over(self._store, self._folder / file)
        self.shards.append(shard)
        self._begin()


@contextmanager
def workplace(store: Store) -> Iterator[Path]:
    """A folder in which shards are written: the store's own, or one from which they go to the store."""
    if store.uri.startswith("file://"):
        yield Path(place_of(store.uri))
    else:
        with tempfile.TemporaryDirectory(prefix="aira-shards-") as folder:
            yield Path(folder)


def _hand_over(store: Store, file: Path) -> None:
    if not store.uri.startswith("file://"):  # else it was written there, and is on the disk
        store.put(file, file.name)
        file.unlink()
