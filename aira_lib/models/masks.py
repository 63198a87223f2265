"""What attention may see: the nearest positions up to a query, and of a packed row only the query's own document."""

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from aira_lib.models.kept import making


@lru_cache(maxsize=32)
def band(queries: int, keys: int, window: int, device: torch.device) -> Tensor:
    """[queries, keys]: True where the key is one of the last `window` up to the query; both end at one position."""
    with making():
        behind = torch.arange(keys - queries, keys, device=device)[:, None] - torch.arange(keys, device=device)
        return (behind >= 0) & (behind < window)


class Documents:
    """The documents of packed rows, between which nothing may pass, and the masks that follow.

    A mask is made when a layer first asks for it, and serves all layers: kept for each layer's backward pass, those of
    a long row would weigh more than its activations.

    Args:
        index: which document each position belongs to [batch, length], any integers; a new one begins where it changes.
    """

    def __init__(self, index: Tensor) -> None:
        self.index = index
        self._masks: dict[int, Tensor] = {}
        self._block_masks: dict[int, tuple[Tensor, Tensor]] = {}

    @property
    def starts(self) -> Tensor:
        """[batch, length]: True where a document begins, at each row's first position too."""
        return F.pad(self.index[:, 1:] != self.index[:, :-1], (1, 0), value=True)

    def mask(self, window: int | None = None) -> Tensor:
        """[batch, 1, length, length]: True where a query sees a key: own document, up to itself, within the window."""
        length = self.index.shape[1]
        width = length if window is None else min(window, length)
        if width not in self._masks:
            seen = band(length, length, width, self.index.device)
            self._masks[width] = (self.runs[:, None, :, None] == self.runs[:, None, None, :]) & seen
        return self._masks[width]

    def block_masks(self, window: int) -> tuple[Tensor, Tensor]:
        """The same for a row cut into blocks of a window, of which each sees itself and the one before it.

        Returns:
            The first block's mask [batch, 1, window, window], and those of all others
            [batch (blocks - 1), 1, window, 2 window].
        """
        if window not in self._block_masks:
            runs = F.pad(self.runs, (0, -self.index.shape[1] % window), value=-1)
            runs = runs.view(len(runs), -1, 1, window)
            first = (runs[:, 0, :, :, None] == runs[:, 0, :, None, :]) & band(window, window, window, runs.device)
            keys = torch.cat((runs[:, :-1], runs[:, 1:]), dim=-1).flatten(0, 1)
            same = runs[:, 1:].flatten(0, 1)[..., :, None] == keys[..., None, :]
            self._block_masks[window] = first, same & band(window, 2 * window, window, runs.device)
        return self._block_masks[window]

    @property
    def runs(self) -> Tensor:
        """[batch, length]: the documents counted up along each row, whatever numbers `index` calls them by."""
        return self.starts.cumsum(1)
