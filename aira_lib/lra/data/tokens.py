"""Tokens: tables that are fixed here, so that no process makes another.

The original builds its table for ListOps from a set in each process; since sets of strings have another order in each,
a model that was trained in one process was tested on other ids in the next (17 % of the test, its issue #15).

| table | ids |
| --- | --- |
| bytes | 0 fills up; a byte of UTF-8 is its value + 1; 257 in all |
| operators | 0 fills up; 1 to 10: digits 0 to 9; 11 to 14: `[MIN` `[MAX` `[MED` `[SM`; 15: `]`; 16: others; 17 in all |
"""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int32]

PAD = 0
BYTE_VOCABULARY = 257

OPERATORS = ("[MIN", "[MAX", "[MED", "[SM")
FIRST_DIGIT, FIRST_OPERATOR, CLOSE, OTHER = 1, 11, 15, 16
LISTOPS_VOCABULARY = 17

_NAMES = (*map(str, range(10)), *OPERATORS, "]")
_ID_OF = {name: i for i, name in enumerate(_NAMES, FIRST_DIGIT)}
_NAME_OF = ("", *_NAMES, "?")


def padded_bytes(texts: Sequence[bytes], max_len: int) -> Ids:
    """Texts as rows of byte ids, int32 [n, max_len]: cut behind, filled up with 0."""
    rows = np.zeros((len(texts), max_len), dtype=np.int32)
    for row, text in zip(rows, texts, strict=True):
        codes = np.frombuffer(text, dtype=np.uint8, count=min(len(text), max_len))
        row[: len(codes)] = codes
        row[: len(codes)] += 1
    return rows


def text_of(row: NDArray[np.integer]) -> bytes:
    """The bytes of a row of byte ids."""
    return bytes((row[row > PAD] - 1).astype(np.uint8))


def operator_ids(source: str) -> bytes:
    """The ids of an expression in the text form of ListOps, one byte each; parentheses are no tokens."""
    names = source.replace("(", " ").replace(")", " ").split()
    return bytes([_ID_OF.get(name, OTHER) for name in names])


def operator_names(ids: Iterable[int]) -> list[str]:
    """The tokens of an expression as they are written; `?` for any that ListOps does not have."""
    return [_NAME_OF[each] for each in ids]


def padded_ids(rows: Sequence[bytes], max_len: int) -> Ids:
    """Ids, one byte each, as rows int32 [n, max_len]: cut behind, filled up with 0."""
    filled = np.zeros((len(rows), max_len), dtype=np.int32)
    for row, ids in zip(filled, rows, strict=True):
        codes = np.frombuffer(ids, dtype=np.uint8, count=min(len(ids), max_len))
        row[: len(codes)] = codes
    return filled
