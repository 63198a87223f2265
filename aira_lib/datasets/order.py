"""In what order a training reads the windows of a corpus: each once an epoch, where each epoch cuts anew.

A corpus is one row of pieces (of token shards each shard is one). As a rule it is cut as a whole, and its windows are
permuted as a whole. Where only some pieces fit a disk, each piece is cut for itself; an epoch takes the pieces in an
order of its own, so many at once, and permutes the windows of those, before it goes on to the next ones.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from aira_lib.datasets.permutation import Permutation

Places = NDArray[np.int64]

_PIECES, _WINDOWS, _OFFSETS = 0, 1, 2
"""What a key of (seed, epoch) draws."""


@dataclass(frozen=True, eq=False)
class _Epoch:
    """Pieces by group, in order, and with which turn of the epoch each group begins [groups + 1]."""

    groups: tuple[Places, ...]
    begins: Places


class WindowOrder:
    """The places of the windows that a training reads, by turn.

    Attributes:
        windows: windows of an epoch. Of each piece that is cut, less than 2 * seq_len tokens are in none of them, and
            other ones in each epoch; a piece that is no longer than seq_len has none.
    """

    def __init__(self, pieces: Sequence[int], seq_len: int, seed: int, at_once: int | None = None) -> None:
        """Plan it.

        Args:
            pieces: tokens of each piece.
            seq_len: targets of a window; it reads the token before them as well.
            seed: of cuts and orders.
            at_once: how many pieces there is room for; None: all.
        """
        self.seq_len, self.seed = seq_len, seed
        self.at_once = at_once or 1
        self._sizes = np.array(pieces if at_once else [sum(pieces)], dtype=np.int64)
        self._begins = np.cumsum(self._sizes) - self._sizes
        self._counts = np.where(self._sizes > seq_len, np.maximum(1, (self._sizes - seq_len) // seq_len), 0)
        self.windows = int(self._counts.sum())
        self._epoch = lru_cache(maxsize=4)(self._planned)

    def places(self, turns: Places) -> Places:
        """Where windows begin in the corpus, int64 [n], by turns [n] from the start of the training on."""
        found = np.empty_like(turns)
        epochs, inside = np.divmod(turns, self.windows)
        for epoch in np.unique(epochs).tolist():
            plan = self._epoch(epoch)
            groups = np.searchsorted(plan.begins, inside, side="right") - 1
            for group in np.unique(groups[epochs == epoch]).tolist():
                of = (epochs == epoch) & (groups == group)
                found[of] = self._in_group(epoch, plan.groups[group], group, inside[of] - plan.begins[group])
        return found

    def group(self, turn: int, further: int = 0) -> list[int]:
        """The pieces of the group into which a turn falls, or of one so many groups further."""
        epoch, inside = divmod(turn, self.windows)
        plan = self._epoch(epoch)
        number = int(np.searchsorted(plan.begins, inside, side="right")) - 1 + further
        while number >= len(plan.groups):
            number, epoch = number - len(plan.groups), epoch + 1
            plan = self._epoch(epoch)
        return [int(piece) for piece in plan.groups[number]]

    def _planned(self, epoch: int) -> _Epoch:
        pieces = Permutation(len(self._sizes), self.seed, epoch, _PIECES)(np.arange(len(self._sizes)))
        pieces = pieces[self._counts[pieces] > 0]
        groups = tuple(pieces[start : start + self.at_once] for start in range(0, len(pieces), self.at_once))
        sizes = [int(self._counts[group].sum()) for group in groups]
        return _Epoch(groups, np.cumsum([0, *sizes[:-1]]))

    def _in_group(self, epoch: int, pieces: Places, group: int, turns: Places) -> Places:
        ends = np.cumsum(self._counts[pieces])
        windows = Permutation(int(ends[-1]), self.seed, epoch, _WINDOWS, group)(turns)
        which = np.searchsorted(ends, windows, side="right")
        chosen = pieces[which]
        inside = windows - (ends - self._counts[pieces])[which]
        return np.asarray(self._begins[chosen] + self._offsets(epoch, chosen) + self.seq_len * inside, dtype=np.int64)

    def _offsets(self, epoch: int, pieces: Places) -> Places:
        """Where in its piece the first window of an epoch begins."""
        free = np.minimum(self.seq_len, self._sizes[pieces] - self._counts[pieces] * self.seq_len)
        drawn = Permutation(1 << 62, self.seed, epoch, _OFFSETS)(pieces)
        return np.asarray(drawn % free, dtype=np.int64)
