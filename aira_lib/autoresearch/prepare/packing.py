"""Rows of tokens, each full: documents packed by best fit, each behind the token that begins one.

A row is filled with the longest buffered document that fits into what is left of it; where none fits, with the
beginning of the shortest one, whose rest is dropped. So every row begins with a document, nothing is padded, and a
token's row holds as much of what comes before it as can be had.
"""

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

Tokens = NDArray[np.uint16]
BUFFERED = 1_000
"""Documents among which the best fit is looked for."""


def packed(documents: Iterable[Tokens], row: int, buffered: int = BUFFERED) -> Iterator[Tokens]:
    """Full rows, uint16 [row], until the documents no longer fill one.

    Args:
        documents: uint16 [n], each beginning with its token for that, and not empty.
        row: Tokens of a row.
        buffered: Documents among which is chosen; of equally long ones the first to come is taken.
    """
    stream = enumerate(documents)
    waiting: dict[int, Tokens] = {}
    by_length: list[tuple[int, int]] = []  # (length, -place): of equals, the first to come is last

    def refill() -> None:
        while len(waiting) < buffered and (item := next(stream, None)) is not None:
            place, document = item
            waiting[place] = document
            insort(by_length, (len(document), -place))

    while True:
        filled: list[Tokens] = []
        left = row
        while left:
            refill()
            if not by_length:
                return
            if fits := bisect_left(by_length, (left + 1, -(2**62))):
                _, place = by_length.pop(fits - 1)
            else:
                shortest = by_length[0][0]
                _, place = by_length.pop(bisect_left(by_length, (shortest + 1, -(2**62))) - 1)
            piece = waiting.pop(-place)[:left]
            filled.append(piece)
            left -= len(piece)
        yield np.concatenate(filled)
