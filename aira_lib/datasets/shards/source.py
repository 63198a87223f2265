"""The tokens of a split of token shards, as a training reads them: by place, from maps of files."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property, partial
from threading import Lock, Thread
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aira_lib.datasets.batches import rows_of
from aira_lib.datasets.shards.folder import BIN, IDX
from aira_lib.datasets.shards.manifest import Split
from aira_lib.datasets.shards.megatron import dtype_of, map_tokens, read_index
from aira_lib.datasets.shards.stored import StoredShards
from aira_lib.errors import UserError

_FETCHES = 4
"""Shards that are fetched at once."""
_GROUPS = 3
"""Groups of shards that are kept: the one that is read, the next one, and the one before, where a step begins."""
_SAMPLE = 1000
"""Documents whose last token is looked at."""


class ShardSource:
    """A split of token shards; see `aira_lib.datasets.batches.TokenSource`. Shards are fetched when they are needed.

    Args:
        stored: the shards.
        split: which of them.
        at_once: how many shards are read at a time. Of fetched ones at most three times as many are kept; None: all.
    """

    def __init__(self, stored: StoredShards, split: Split, at_once: int | None = None) -> None:
        self._stored, self._split, self._shards = stored, split, stored.shards(split)
        self._begins = np.cumsum([0, *self.pieces], dtype=np.int64)
        self._most = _GROUPS * at_once if at_once else None
        self._maps: OrderedDict[int, NDArray[np.generic]] = OrderedDict()
        self._guard = Lock()

    @property
    def n_tokens(self) -> int:
        """Of all shards."""
        return int(self._begins[-1])

    @property
    def pieces(self) -> tuple[int, ...]:
        """The tokens of each shard."""
        return tuple(shard.tokens for shard in self._shards)

    @property
    def vocab_size(self) -> int:
        """That of the tokenizer."""
        return self._stored.manifest.tokenizer.vocab_size

    @property
    def end(self) -> int:
        """The token that ends every document."""
        return self._stored.manifest.tokenizer.end

    @cached_property
    def bounds(self) -> NDArray[np.int64]:
        """The place after the last token of each document, int64 [documents], by the indexes."""
        lengths = [self._lengths(piece) for piece in range(len(self._shards))]
        return np.cumsum(np.concatenate([np.empty(0, np.int64), *lengths]), dtype=np.int64)

    def windows(self, places: NDArray[np.int64], length: int) -> NDArray[Any]:
        """See `TokenSource`.

        Raises:
            UserError: a shard is damaged or cannot be fetched.
        """
        first, last = (np.searchsorted(self._begins, at, side="right") - 1 for at in (places, places + length - 1))
        found = np.empty((len(places), length), dtype_of(self._stored.manifest.type))
        for piece in np.unique(first).tolist():
            of = (first == piece) & (last == piece)
            if of.any():
                found[of] = rows_of(self._tokens(piece), places[of] - self._begins[piece], length)
        for row in np.flatnonzero(first != last).tolist():
            found[row] = self._joined(int(places[row]), length)
        return found

    def ahead(self, pieces: Sequence[int]) -> None:
        """Fetch shards in the background; one that fails is fetched anew, and fails, when it is asked for."""
        missing = [piece for piece in pieces if piece not in self._maps]
        if missing:
            Thread(target=self._try, args=(missing,), daemon=True).start()

    def fetch(self, progress: Callable[[int, int, str], None]) -> None:
        """Have all shards here, verified.

        Raises:
            UserError: one is damaged or cannot be fetched, or the disk is too small.
        """
        self._stored.require_room(self._split)
        with ThreadPoolExecutor(_FETCHES) as pool:
            for done, _ in enumerate(pool.map(self._tokens, range(len(self._shards))), 1):
                progress(done, len(self._shards), "token shards here")

    def require_ends(self) -> None:
        """Refuse shards whose documents do not end with the token that should end them, as far as some of them tell.

        Raises:
            UserError: they do not.
        """
        piece = next((piece for piece, tokens in enumerate(self.pieces) if tokens), None)
        if piece is None:
            return
        lengths = self._lengths(piece)
        ends = np.cumsum(lengths)[lengths > 0][:_SAMPLE] - 1
        if (self._tokens(piece)[ends] != self.end).any():
            raise UserError(
                f"{self._stored.uri}: documents of {self._shards[piece].name} do not end with the token {self.end}, so "
                "that attention cannot be kept within them; set pretrain.data.packing to across"
            )

    def _lengths(self, piece: int) -> NDArray[np.int64]:
        shard = self._shards[piece]
        index = self._stored.opened(shard.name + IDX, shard.index_sha256, read_index)
        if index.tokens != shard.tokens:
            raise UserError(f"{self._stored.uri}: the index of {shard.name} is that of another shard")
        return index.lengths

    def _tokens(self, piece: int) -> NDArray[np.generic]:
        """The tokens of a shard, which counts as the one that was used last."""
        with self._guard:
            found = self._maps.get(piece)
            if found is not None:
                self._maps.move_to_end(piece)
                return found
        shard = self._shards[piece]
        read = partial(map_tokens, type_=self._stored.manifest.type)
        found = self._stored.opened(shard.name + BIN, shard.sha256, read)
        if len(found) != shard.tokens:
            raise UserError(f"{self._stored.uri}: {shard.name} has {len(found):,} tokens, not {shard.tokens:,}")
        self._keep(piece, found)
        return found

    def _keep(self, piece: int, found: NDArray[np.generic]) -> None:
        with self._guard:
            self._maps[piece] = found
            old = len(self._maps) - self._most if self._most else 0
            for _ in range(old):
                self._maps.popitem(last=False)
        if self._most:
            self._stored.trim(self._most)

    def _joined(self, place: int, length: int) -> NDArray[np.generic]:
        """A window that reaches over the end of a shard."""
        parts, end = [], place + length
        while place < end:
            piece = int(np.searchsorted(self._begins, place, side="right")) - 1
            begin = int(self._begins[piece])
            parts.append(self._tokens(piece)[place - begin : end - begin])
            place += len(parts[-1])
        return np.concatenate(parts)

    def _try(self, pieces: Sequence[int]) -> None:
        for piece in pieces:
            try:
                self._tokens(piece)
            except UserError:
                return
