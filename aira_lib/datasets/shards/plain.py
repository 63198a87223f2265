"""Indexes for plain arrays of tokens: a ``.bin`` that lies alone, as OLMo-core and nanoGPT write it."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aira_lib.datasets.shards.folder import BIN, IDX, local_copy
from aira_lib.datasets.shards.megatron import Index, TokenType, map_tokens, write_index
from aira_lib.errors import UserError
from aira_lib.store import Store, place_of

_AT_ONCE = 1 << 24


def index_plain(store: Store, type_: TokenType, end: int) -> list[str]:
    """Write the index of every ``.bin`` that has none, whose documents are cut behind their ends.

    Args:
        store: the folder.
        type_: of the tokens, which such a file does not say.
        end: the token that ends documents.

    Returns:
        The names of the shards that got one, without their suffix.

    Raises:
        UserError: none lacks one, a file is no whole number of tokens, or its last token is no end.
    """
    sizes = store.sizes()
    names = sorted(name.removesuffix(BIN) for name in sizes if name.endswith(BIN))
    bare = [name for name in names if name + IDX not in sizes]
    if not bare:
        raise UserError(f"{place_of(store.uri)}: no {BIN} lacks its {IDX}, which says the type of its tokens")
    lengths = {name: _lengths(store, name, type_, end) for name in bare}  # all are sound before one is written
    with tempfile.TemporaryDirectory(prefix="aira-shards-") as folder:
        for name, each in lengths.items():
            write_index(made := Path(folder) / "made", Index(type_, each))
            store.put(made, name + IDX)
    return bare


def _lengths(store: Store, name: str, type_: TokenType, end: int) -> NDArray[np.int64]:
    """Of each document, in tokens."""
    with local_copy(store, name + BIN) as file:
        ids = map_tokens(file, type_)
        ends = np.concatenate([*_ends(ids, end), np.empty(0, np.int64)])
        if len(ids) and not (len(ends) and ends[-1] == len(ids)):
            raise UserError(
                f"{store.shown(name + BIN)}: read as {type_}, its last token is {ids[-1]}, not the end of a document "
                f"({end}); name another type with --tokens, or another end with --end"
            )
    return np.diff(ends, prepend=0)


def _ends(ids: NDArray[np.generic], end: int) -> Iterator[NDArray[np.int64]]:
    """The places behind the ends of documents, ascending, a piece of the file at a time."""
    for start in range(0, len(ids), _AT_ONCE):
        yield np.flatnonzero(ids[start : start + _AT_ONCE] == end).astype(np.int64) + start + 1
