"""The text of the CPU's profile: the standard library's, by bytes, in the place of the original's shards."""

import numpy as np
from numpy.typing import NDArray

from aira_lib.datasets.text.corpus import SEPARATOR
from aira_lib.datasets.text.stdlib import python_stdlib_corpus
from aira_lib.errors import UserError
from aira_lib.rescoring.text import Text, Tokens

LENGTH = 256
STAND_IN = "text: the Python standard library's source by bytes, a stand-in for the original's shards"
_RESERVED = 4
_BOS = 256
_TRAIN_BYTES, _ROWS = 8_000_000, 64


def stand_in_text() -> Text:
    """Rows of 256 tokens: 8 MB to train on, 64 rows that scripts score themselves by, and 64 that none is given.

    Raises:
        UserError: this Python has no source of its library.
    """
    corpus = python_stdlib_corpus(_TRAIN_BYTES, 4 * _ROWS * (LENGTH + 1))
    held_out = packed(np.asarray(corpus.validation))
    if len(held_out) < 2 * _ROWS:
        raise UserError(f"the standard library has {len(held_out)} rows to hold out, and {2 * _ROWS} are needed")
    pieces = [*(bytes([byte]) for byte in range(256)), *(b"" for _ in range(_RESERVED))]
    return Text(packed(np.asarray(corpus.train)), held_out[:_ROWS], held_out[_ROWS : 2 * _ROWS], pieces, _BOS)


def packed(corpus: NDArray[np.uint8]) -> Tokens:
    """Rows [n, LENGTH + 1] of a corpus; each begins as a document does, and what fills no row at the end is dropped."""
    tokens = corpus.astype(np.uint16)
    tokens[corpus == SEPARATOR] = _BOS
    rows = tokens[: len(tokens) // LENGTH * LENGTH].reshape(-1, LENGTH)
    return np.concatenate([np.full((len(rows), 1), _BOS, np.uint16), rows], axis=1)
