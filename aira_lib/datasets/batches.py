"""What a training step reads: windows of a corpus in an order that is a pure function of seed and step.

An epoch cuts the corpus into windows that share no target, beginning at an offset that is drawn for each epoch, and
gives each of them once, in an order of its own (`aira_lib.datasets.permutation`). Row `r` of step `s` is the window at
place `s * rows_per_step + r` of that order, whoever asks for it: ranks take rows, a resumed run goes on at its step.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from aira_lib.datasets.permutation import Permutation
from aira_lib.errors import UserError

Packing = Literal["across", "masked"]
"""Whether attention and state pass from one document of a window to the next ("across"), or not ("masked")."""

_OFFSET, _ORDER = 0, 1


class TokenSource(Protocol):
    """The tokens of a split of a corpus, one long row of documents."""

    @property
    def n_tokens(self) -> int:
        """How many there are."""

    @property
    def vocab_size(self) -> int:
        """Ids are below it."""

    @property
    def end(self) -> int:
        """The token that ends every document, and belongs to it."""

    @property
    def bounds(self) -> NDArray[np.int64]:
        """The place after the last token of each document, ascending, int64 [documents]; found when it is asked for."""

    def windows(self, places: NDArray[np.int64], length: int) -> NDArray[Any]:
        """The `length` tokens from each place [n] on, integers [n, length]."""


@dataclass(frozen=True, eq=False)
class ArraySource:
    """Tokens in an array [tokens], in memory or mapped; see `TokenSource`."""

    tokens: NDArray[Any]
    vocab_size: int
    end: int

    @property
    def n_tokens(self) -> int:
        """How many there are."""
        return len(self.tokens)

    @property
    def bounds(self) -> NDArray[np.int64]:
        """See `TokenSource`; tokens behind the last end are no document."""
        return np.flatnonzero(self.tokens == self.end) + 1

    def windows(self, places: NDArray[np.int64], length: int) -> NDArray[Any]:
        """See `TokenSource`."""
        return rows_of(self.tokens, places, length)


def rows_of(tokens: NDArray[Any], places: NDArray[np.int64], length: int) -> NDArray[Any]:
    """A copy of the `length` tokens from each place [n] on, [n, length]; whole rows are copied, no indices are made."""
    return np.asarray(np.lib.stride_tricks.sliding_window_view(tokens, length)[places])


@dataclass(frozen=True)
class Batch:
    """Rows of a training step.

    Attributes:
        inputs: int64 [rows, seq_len].
        targets: the token after each input, int64 [rows, seq_len].
        documents: the index of each input's document within its row, from 0, int32 [rows, seq_len]; None: documents
            attend across.
    """

    inputs: NDArray[np.int64]
    targets: NDArray[np.int64]
    documents: NDArray[np.int32] | None = None


class Batches:
    """The batches of a training, by step.

    Attributes:
        source: the tokens.
        seq_len: tokens of a window.
        rows_per_step: windows of a step, over all ranks.
        seed: of the order.
        packing: see `Packing`.
        windows: windows of an epoch; less than 2 * seq_len tokens are not in them, other ones in each epoch.
    """

    def __init__(
        self, source: TokenSource, seq_len: int, rows_per_step: int, seed: int, packing: Packing = "across"
    ) -> None:
        """Take the corpus as it is; nothing is read yet.

        Raises:
            UserError: it is shorter than a window and the token after it.
        """
        if source.n_tokens <= seq_len:
            raise UserError(
                f"the text has {source.n_tokens:,} tokens, too few for windows of seq_len {seq_len:,}; "
                "give it more text or lower seq_len"
            )
        self.source, self.seq_len, self.rows_per_step, self.seed, self.packing = (
            source, seq_len, rows_per_step, seed, packing
        )  # fmt: skip
        self.windows = max(1, (source.n_tokens - seq_len) // seq_len)

    def rows(self, step: int, start: int = 0, stop: int | None = None) -> Batch:
        """Rows `start` to `stop` (excluded; None: to the last) of the batch of a step, which is counted from 0."""
        places = self._places(step, start, self.rows_per_step if stop is None else stop)
        tokens = self.source.windows(places, self.seq_len + 1)
        inputs, targets = tokens[:, :-1].astype(np.int64), tokens[:, 1:].astype(np.int64)
        return Batch(inputs, targets, self._documents(inputs) if self.packing == "masked" else None)

    def epochs(self, steps: int) -> float:
        """How often so many steps read each window."""
        return steps * self.rows_per_step / self.windows

    def _documents(self, inputs: NDArray[np.int64]) -> NDArray[np.int32]:
        ends = inputs == self.source.end
        return np.asarray(np.cumsum(ends, axis=1, dtype=np.int32) - ends, dtype=np.int32)

    def _places(self, step: int, start: int, stop: int) -> NDArray[np.int64]:
        """The first token of each of the rows, int64 [rows]."""
        wanted = step * self.rows_per_step + np.arange(start, stop)
        epochs, turns = np.divmod(wanted, self.windows)
        places = np.empty_like(wanted)
        for epoch in np.unique(epochs).tolist():
            of = epochs == epoch
            places[of] = self._offset(epoch) + self.seq_len * _order(self.windows, self.seed, epoch)(turns[of])
        return places

    def _offset(self, epoch: int) -> int:
        """Where the first window of an epoch begins."""
        free = min(self.seq_len, self.source.n_tokens - self.windows * self.seq_len)
        return int(np.random.SeedSequence([self.seed, epoch, _OFFSET]).generate_state(1, np.uint64)[0] % free)


@lru_cache(maxsize=8)
def _order(windows: int, seed: int, epoch: int) -> Permutation:
    return Permutation(windows, seed, epoch, _ORDER)
