"""Splits that share no text.

Long Range Arena validates Text on its test set; here a share of the training rows is held out: the same share of each
class, and equal texts (IMDB has some) all on one side, equal as far as a row reaches.
"""

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from random import Random


def text_hash(*texts: bytes) -> bytes:
    """What tells one row from another: SHA-256 of its text, or of both."""
    whole = hashlib.sha256()
    for text in texts:
        whole.update(len(text).to_bytes(8, "big") + text)
    return whole.digest()


def held_out(labels: Sequence[int], groups: Sequence[bytes], share: float, seed: int) -> list[int]:
    """The rows to hold out, in rising order: of each class a share, and whole groups only.

    Args:
        labels: class of each row.
        groups: rows of equal text have an equal group (`text_hash`); one with several classes is never held out.
        share: of the rows of each class, 0 to 1; as near to it as whole groups come.
        seed: of the choice, which depends on the groups and not on the order of rows.
    """
    rows: dict[bytes, list[int]] = defaultdict(list)
    for row, group in enumerate(groups):
        rows[group].append(row)
    chosen: list[int] = []
    for label in sorted(set(labels)):
        pure = sorted(group for group, members in rows.items() if {labels[each] for each in members} == {label})
        Random(f"held out {label} {seed}").shuffle(pure)
        wanted = round(share * sum(each == label for each in labels))
        for group in pure:
            if len(rows[group]) <= wanted:
                chosen += rows[group]
                wanted -= len(rows[group])
    return sorted(chosen)


def sampled(labels: Sequence[int], most: int, seed: int) -> list[int]:
    """Rows in a drawn order, at most so many, of each class its share; all of them where there are no more."""
    order = list(range(len(labels)))
    Random(f"sample {seed}").shuffle(order)
    if len(order) <= most:
        return order
    room = {label: round(most * sum(each == label for each in labels) / len(labels)) for label in set(labels)}
    taken: list[int] = []
    for row in order:
        if room[labels[row]] and len(taken) < most:
            room[labels[row]] -= 1
            taken.append(row)
    return taken


def shared_rows(some: Sequence[bytes], others: Sequence[bytes]) -> int:
    """How many of some rows occur, by their hashes, among others."""
    known = set(others)
    return sum(each in known for each in some)
