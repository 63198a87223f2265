"""The loss by how many tokens a prediction could see: a design that uses its context loses less where there is more."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from aira_lib.records import PositionLoss, document_error

Integers = NDArray[np.integer[Any]]


def tokens_seen(rows: int, seq_len: int, documents: Integers | None) -> Integers:
    """How many tokens each prediction of windows sees, from 1, int32 [rows, seq_len].

    Args:
        rows: windows.
        seq_len: predictions of a window.
        documents: the index of each input's document in its window [rows, seq_len], where a prediction sees its own
            document alone; None: it sees all of the window that is before.
    """
    places = np.broadcast_to(np.arange(seq_len, dtype=np.int32), (rows, seq_len))
    if documents is None:
        return places + 1
    begins = np.diff(documents, axis=1, prepend=documents[:, :1]) != 0
    return places - np.maximum.accumulate(np.where(begins, places, 0), axis=1) + 1


def losses_by_position(losses: NDArray[Any], owners: Integers, seen: Integers) -> tuple[PositionLoss, ...]:
    """Mean losses of predictions that see 1, 2, 3 to 4, 5 to 8, ... tokens, with their errors over documents.

    Args:
        losses: nats of each prediction [predictions].
        owners: the number of the document of each, from 0.
        seen: tokens that each sees, from 1.
    """
    bins, most = np.frexp(seen - 1)[1], int(seen.max(initial=0))  # the exponent counts binary digits
    found = []
    for number in np.unique(bins).tolist():
        chosen = bins == number
        tokens = np.bincount(owners[chosen])
        sums = np.bincount(owners[chosen], losses[chosen].astype(np.float64))[tokens > 0].tolist()
        counts: list[int] = tokens[tokens > 0].tolist()
        found.append(
            PositionLoss(
                first=2**number // 2 + 1, last=min(2**number, most), tokens=sum(counts), loss=sum(sums) / sum(counts),
                stderr=document_error(sums, counts),
            )
        )  # fmt: skip
    return tuple(found)
