"""The files of one shard: flat little-endian tokens (``.bin``) and where documents lie in them (``.idx``).

The index is that of Megatron-LM's indexed dataset, so that other tools read our shards and we read theirs: the mark
``MMIDIDX``, a version, the type of the tokens, the number of sequences and that of document bounds, and then the length
of every sequence in tokens, its place in the ``.bin`` in bytes, and the sequence with which each document begins, with
one bound more at the end. Our sequences are documents. Without its index a ``.bin`` is a plain array, which OLMo-core
and others map as such.
"""

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from aira_lib.errors import UserError
from aira_lib.store.files import disk_errors, replacing

TokenType = Literal["uint8", "uint16", "int32"]

_MARK = b"MMIDIDX\x00\x00"
_HEAD = struct.Struct("<QBQQ")
_CODES: dict[TokenType, int] = {"uint8": 1, "int32": 4, "uint16": 8}
_TYPES = {code: name for name, code in _CODES.items()}


def token_type(vocab_size: int) -> TokenType:
    """The smallest type that holds the ids of a vocabulary."""
    if vocab_size <= 1 << 8:
        return "uint8"
    return "uint16" if vocab_size <= 1 << 16 else "int32"


def dtype_of(name: TokenType) -> np.dtype[np.generic]:
    """Little-endian, whatever the machine is."""
    return np.dtype(name).newbyteorder("<")


@dataclass(frozen=True)
class Index:
    """What an ``.idx`` says: the type of the tokens, and the length in tokens of each document, int64 [documents]."""

    type: TokenType
    lengths: NDArray[np.int64]

    @property
    def tokens(self) -> int:
        """Tokens of all documents."""
        return int(self.lengths.sum())


def write_index(path: Path, index: Index) -> None:
    """Write an ``.idx``, whole or not at all.

    Raises:
        StoreError: the disk refuses.
        ValueError: a document of more than 2**31 - 1 tokens, which the format cannot say.
    """
    lengths, width = index.lengths, dtype_of(index.type).itemsize
    if len(lengths) and int(lengths.max()) > np.iinfo(np.int32).max:
        raise ValueError("a document of more than 2**31 - 1 tokens does not fit the index")
    places = np.cumsum(lengths) - lengths
    with replacing(path) as handle:
        handle.write(_MARK + _HEAD.pack(1, _CODES[index.type], len(lengths), len(lengths) + 1))
        handle.write(lengths.astype("<i4").tobytes())
        handle.write((places * width).astype("<i8").tobytes())
        handle.write(np.arange(len(lengths) + 1, dtype="<i8").tobytes())


def read_index(path: Path) -> Index:
    """Read an ``.idx``, ours or that of another tool whose sequences lie one after another.

    Raises:
        UserError: it is missing, none, cut short, or has a type of tokens or an order of sequences not read here.
    """
    try:
        with disk_errors(path):
            data = path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{path}: missing") from None
    at = len(_MARK) + _HEAD.size
    if not data.startswith(_MARK) or len(data) < at:
        raise UserError(f"{path}: not an index of token shards (it does not begin as Megatron's do)")
    version, code, sequences, bounds = _HEAD.unpack_from(data, len(_MARK))
    if version != 1 or code not in _TYPES:
        raise UserError(f"{path}: version {version} with tokens of type {code} is not read; 1 with {_known()} is")
    if len(data) < at + 12 * sequences + 8 * bounds or bounds < 1:
        raise UserError(f"{path}: cut short or damaged: it has no place for its {sequences:,} sequences")
    lengths = np.frombuffer(data, "<i4", sequences, at).astype(np.int64)
    places = np.frombuffer(data, "<i8", sequences, at + 4 * sequences)
    starts = np.frombuffer(data, "<i8", bounds, at + 12 * sequences)
    width = dtype_of(_TYPES[code]).itemsize
    if (lengths < 0).any() or not np.array_equal(places, (np.cumsum(lengths) - lengths) * width):
        raise UserError(f"{path}: its sequences do not lie one after another, which is not read here")
    if starts[0] != 0 or starts[-1] != sequences or (np.diff(starts) < 0).any():
        raise UserError(f"{path}: its bounds of documents are not those of {sequences:,} sequences")
    ends = np.concatenate([[0], np.cumsum(lengths)])[starts]
    return Index(_TYPES[code], np.diff(ends))


def map_tokens(path: Path, type_: TokenType) -> NDArray[np.generic]:
    """The tokens of a ``.bin`` [tokens] as a read-only memory map.

    Raises:
        UserError: the file is missing, or its size is no multiple of a token's.
    """
    dtype = dtype_of(type_)
    with disk_errors(path):
        size = path.stat().st_size if path.exists() else None
    if size is None or size % dtype.itemsize:
        raise UserError(f"{path}: " + ("missing" if size is None else f"{size:,} bytes are no whole {type_} tokens"))
    return np.memmap(path, dtype=dtype, mode="r") if size else np.empty(0, dtype)


def _known() -> str:
    return ", ".join(f"{name} ({code})" for name, code in _CODES.items())
