"""Which held-out windows are scored: spread over as many documents as there are, since those are what was sampled."""

import numpy as np
from numpy.typing import NDArray

from aira_lib.datasets.batches import TokenSource
from aira_lib.errors import UserError

Integers = NDArray[np.int64]


def held_out_starts(text: TokenSource, seq_len: int, samples: int) -> Integers:
    """Where windows begin of which no two score the same token: `samples` of them, or all there are if fewer.

    Each document has one before any has a second, as far as windows lie in one: long documents do not crowd out
    others. Of the last round evenly spaced ones are taken.

    Args:
        text: held-out documents.
        seq_len: tokens of a window.
        samples: how many windows at most.

    Returns:
        int64 [min(samples, (tokens - 1) // seq_len)], ascending; a window has seq_len + 1 tokens, all but the first of
        which are scored.

    Raises:
        UserError: the text is shorter than one window.
    """
    if text.n_tokens <= seq_len:
        raise UserError(
            f"the held-out text has {text.n_tokens:,} tokens, too few for windows of seq_len {seq_len:,}; "
            "give it more text or lower seq_len"
        )
    places = np.arange((text.n_tokens - 1) // seq_len) * seq_len
    owner = _owners(text.bounds, places + 1)
    _, first = np.unique(owner, return_index=True)
    turn = np.arange(len(places)) - first[np.searchsorted(owner[first], owner)]  # of each window in its document
    in_turns = np.argsort(turn, kind="stable")
    whole = np.cumsum(np.bincount(turn))  # windows up to and with each turn
    taken = int(whole[whole <= samples].max(initial=0))
    last = in_turns[taken : int(whole[whole > samples].min(initial=len(places)))]
    left = min(samples, len(places)) - taken
    spread = last[np.arange(left) * len(last) // max(left, 1)]
    return np.asarray(np.sort(places[np.concatenate([in_turns[:taken], spread])]), dtype=np.int64)


def documents_of_targets(text: TokenSource, starts: Integers, seq_len: int) -> Integers:
    """The number of the document, from 0 in the text, of each target of windows [windows, seq_len]."""
    return _owners(text.bounds, starts[:, None] + np.arange(1, seq_len + 1))


def _owners(bounds: Integers, places: Integers) -> Integers:
    """The document of each place; what ends a document belongs to it."""
    return np.asarray(np.searchsorted(bounds, places, side="right"), dtype=np.int64)
