"""Which held-out windows are scored: spread over as many documents as there are, since those are what was sampled."""

import numpy as np
from numpy.typing import NDArray

from aira_lib.datasets.text import SEPARATOR
from aira_lib.datasets.text.windows import Windows, require_a_window, windows_at

Integers = NDArray[np.int64]


def held_out_windows(data: NDArray[np.uint8], seq_len: int, samples: int) -> Windows:
    """Windows of which no two score the same token: `samples` of them, or all there are if fewer.

    Each document has one before any has a second, as far as windows lie in one: long documents do not crowd out
    others. Of the last round evenly spaced ones are taken.

    Args:
        data: text [tokens], documents ended by `SEPARATOR`.
        seq_len: tokens of a window.
        samples: how many windows at most.

    Returns:
        Inputs and targets, int64 [min(samples, (tokens - 1) // seq_len), seq_len], in the order of the text.

    Raises:
        UserError: the data is shorter than one window.
    """
    return windows_at(data, _starts(data, seq_len, samples), seq_len)


def documents_of_targets(data: NDArray[np.uint8], seq_len: int, samples: int) -> Integers:
    """The number of the document, from 0 in the text, of each target of `held_out_windows` [windows, seq_len]."""
    return windows_at(_documents(data), _starts(data, seq_len, samples), seq_len)[1]


def _documents(data: NDArray[np.uint8]) -> Integers:
    """[tokens]: a separator belongs to the document that it ends."""
    ends = data == SEPARATOR
    return np.asarray(np.cumsum(ends) - ends, dtype=np.int64)


def _starts(data: NDArray[np.uint8], seq_len: int, samples: int) -> Integers:
    """Where the chosen windows begin, ascending."""
    require_a_window(data, seq_len)
    places = np.arange((len(data) - 1) // seq_len) * seq_len
    owner = _documents(data)[places + 1]
    _, first = np.unique(owner, return_index=True)
    turn = np.arange(len(places)) - first[np.searchsorted(owner[first], owner)]  # of each window in its document
    in_turns = np.argsort(turn, kind="stable")
    whole = np.cumsum(np.bincount(turn))  # windows up to and with each turn
    taken = int(whole[whole <= samples].max(initial=0))
    last = in_turns[taken : int(whole[whole > samples].min(initial=len(places)))]
    left = min(samples, len(places)) - taken
    spread = last[np.arange(left) * len(last) // max(left, 1)]
    return np.asarray(np.sort(places[np.concatenate([in_turns[:taken], spread])]), dtype=np.int64)
