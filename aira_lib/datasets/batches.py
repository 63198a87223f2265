"""What a training step reads: windows of a corpus in an order that is a pure function of seed and step.

Row `r` of step `s` is the window of turn `s * rows_per_step + r` (see `aira_lib.datasets.order`), whoever asks for it:
ranks take rows of the batch of all, and a resumed run goes on at its step.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from aira_lib.datasets.order import WindowOrder
from aira_lib.errors import UserError

Packing = Literal["across", "masked"]
"""Whether attention and state pass from one document of a window to the next ("across"), or not ("masked")."""


class TokenSource(Protocol):
    """The tokens of a split of a corpus, one long row of documents."""

    @property
    def n_tokens(self) -> int:
        """How many there are."""

    @property
    def pieces(self) -> tuple[int, ...]:
        """The tokens of each of its pieces, in order: what is fetched as one, and may be in memory alone."""

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

    def ahead(self, pieces: Sequence[int]) -> None:
        """Begin to fetch pieces that will be asked for soon, where they lie elsewhere."""


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
    def pieces(self) -> tuple[int, ...]:
        """One."""
        return (len(self.tokens),)

    @property
    def bounds(self) -> NDArray[np.int64]:
        """See `TokenSource`; tokens behind the last end are no document."""
        return np.flatnonzero(self.tokens == self.end) + 1

    def windows(self, places: NDArray[np.int64], length: int) -> NDArray[Any]:
        """See `TokenSource`."""
        return rows_of(self.tokens, places, length)

    def ahead(self, pieces: Sequence[int]) -> None:
        """It is here."""


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
        at_once: see `WindowOrder`.
        order: of the windows.
    """

    def __init__(
        self,
        source: TokenSource,
        seq_len: int,
        rows_per_step: int,
        seed: int,
        packing: Packing = "across",
        at_once: int | None = None,
    ) -> None:
        """Take the corpus as it is; nothing is read yet.

        Raises:
            UserError: there is no window in it.
        """
        self.source, self.seq_len, self.rows_per_step, self.seed = source, seq_len, rows_per_step, seed
        self.packing, self.at_once = packing, at_once
        self.order = WindowOrder(source.pieces, seq_len, seed, at_once)
        self._fetched: list[int] = []
        if not self.order.windows:
            raise UserError(
                f"the text has {source.n_tokens:,} tokens, too few for windows of seq_len {seq_len:,}; "
                "give it more text or lower seq_len"
            )

    def rows(self, step: int, start: int = 0, stop: int | None = None) -> Batch:
        """Rows `start` to `stop` (excluded; None: to the last) of the batch of a step, which is counted from 0."""
        first = step * self.rows_per_step
        if self.at_once:
            self._ahead(first)
        turns = first + np.arange(start, self.rows_per_step if stop is None else stop, dtype=np.int64)
        tokens = self.source.windows(self.order.places(turns), self.seq_len + 1)
        inputs, targets = tokens[:, :-1].astype(np.int64), tokens[:, 1:].astype(np.int64)
        return Batch(inputs, targets, documents_of(inputs, self.source.end) if self.packing == "masked" else None)

    def epochs(self, steps: int) -> float:
        """How often so many steps read each window."""
        return steps * self.rows_per_step / self.order.windows

    def _ahead(self, turn: int) -> None:
        """Have the pieces of the next group fetched while those of this one are read."""
        pieces = self.order.group(turn, 1)
        if pieces != self._fetched:
            self._fetched = pieces
            self.source.ahead(pieces)


def documents_of(tokens: NDArray[np.integer[Any]], end: int) -> NDArray[np.int32]:
    """Of each token of windows [rows, tokens], the index of its document within the row, from 0, int32.

    `end` is the token that ends a document, and belongs to it.
    """
    ends = tokens == end
    return np.asarray(np.cumsum(ends, axis=1, dtype=np.int32) - ends, dtype=np.int32)
