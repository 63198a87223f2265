"""Weights as safetensors files, by NumPy alone: written, read, and checked without trusting whoever wrote them.

A file is the length of its header (8 bytes, little endian), the header (JSON: name to dtype, shape and the two offsets
of its bytes) and the bytes of all tensors without a gap (https://huggingface.co/docs/safetensors). Nothing in it is
code, so a file that passes `tensors_in` may be given to another process. This module imports nothing of this library:
it is shown to programs in the sandbox, too.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_BITS = {
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E4M3": 8, "F8_E5M2": 8, "U16": 16, "I16": 16, "F16": 16, "BF16": 16,
    "U32": 32, "I32": 32, "F32": 32, "U64": 64, "I64": 64, "F64": 64,
}  # fmt: skip
_NUMPY = {
    "BOOL": "|b1", "U8": "|u1", "I8": "|i1", "U16": "<u2", "I16": "<i2", "F16": "<f2",
    "U32": "<u4", "I32": "<i4", "F32": "<f4", "U64": "<u8", "I64": "<i8", "F64": "<f8",
}  # fmt: skip
_NAMES = {numpy: name for name, numpy in _NUMPY.items()}
_METADATA = "__metadata__"
MOST_HEADER = 4 * 2**20
"""Bytes of a header that is read; a tensor takes about a hundred."""
_MOST_SHAPE = 32


class TensorsError(ValueError):
    """Bytes that are no safetensors file; the text is one line."""


@dataclass(frozen=True)
class TensorAt:
    """One tensor of a file: its dtype by safetensors' name, its shape, and where its bytes begin and end."""

    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


def tensors_in(content: bytes) -> dict[str, TensorAt]:
    """Check a file and say what is in it, by name; offsets count from the start of the file.

    Raises:
        TensorsError: it is cut or too long, its header is no such JSON, or offsets, shapes and dtypes do not agree.
    """
    start, header = _header(content)
    found: dict[str, TensorAt] = {}
    for name, told in header.items():
        if name != _METADATA:
            found[name] = _tensor(name, told, start)
    end = start
    for name, tensor in sorted(found.items(), key=lambda item: (item[1].begin, item[1].end)):
        if tensor.begin != end:
            raise TensorsError(f"tensor {name[:60]!r} does not begin where the one before it ends")
        end = tensor.end
    if end != len(content):
        raise TensorsError(f"its tensors end at byte {end:,}, the file at byte {len(content):,}")
    return found


def read_tensors(content: bytes) -> dict[str, NDArray[Any]]:
    """The tensors of a file, by name.

    Raises:
        TensorsError: see `tensors_in`; or a dtype that NumPy lacks, such as BF16.
    """
    read = {}
    for name, tensor in tensors_in(content).items():
        if tensor.dtype not in _NUMPY:
            raise TensorsError(f"tensor {name[:60]!r} is {tensor.dtype}, which NumPy does not have")
        values = np.frombuffer(content[tensor.begin : tensor.end], _NUMPY[tensor.dtype])
        read[name] = values.reshape(tensor.shape).copy()
    return read


def write_tensors(tensors: Mapping[str, NDArray[Any]]) -> bytes:
    """A file with these tensors, by name; equal tensors give equal bytes.

    Raises:
        TensorsError: a dtype that the format lacks.
    """
    header: dict[str, Any] = {}
    parts, end = [], 0
    for name in sorted(tensors):
        values = np.asarray(tensors[name])
        values = np.ascontiguousarray(values, values.dtype.newbyteorder("<")).reshape(values.shape)
        if values.dtype.str not in _NAMES:
            raise TensorsError(f"tensor {name!r} is {values.dtype}, which a safetensors file cannot hold")
        header[name] = {
            "dtype": _NAMES[values.dtype.str], "shape": list(values.shape), "data_offsets": [end, end + values.nbytes],
        }  # fmt: skip
        parts.append(values.tobytes())
        end += values.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + b"".join(parts)


def _header(content: bytes) -> tuple[int, dict[str, Any]]:
    """Where the tensors begin, and the header."""
    length = int.from_bytes(content[:8], "little")
    if len(content) < 8 or length > len(content) - 8:
        raise TensorsError("its header is longer than the file")
    if length > MOST_HEADER:
        raise TensorsError(f"its header has {length:,} bytes, more than {MOST_HEADER:,}")
    try:
        header = json.loads(content[8 : 8 + length].decode("utf-8"), object_pairs_hook=_once)
    except TensorsError:
        raise
    except (ValueError, RecursionError):
        raise TensorsError("its header is no JSON") from None
    if not isinstance(header, dict):
        raise TensorsError("its header is no JSON object")
    return 8 + length, header


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise TensorsError("a name stands twice in its header")
    return found


def _tensor(name: str, told: Any, start: int) -> TensorAt:
    if not isinstance(told, dict) or set(told) != {"dtype", "shape", "data_offsets"}:
        raise TensorsError(f"tensor {name[:60]!r} must have dtype, shape and data_offsets, and nothing else")
    dtype, shape, offsets = told["dtype"], told["shape"], told["data_offsets"]
    if not isinstance(dtype, str) or dtype not in _BITS:
        raise TensorsError(f"tensor {name[:60]!r} has the unknown dtype {str(dtype)[:20]!r}")
    if not _whole(shape) or len(shape) > _MOST_SHAPE:
        raise TensorsError(f"the shape of tensor {name[:60]!r} is no list of whole numbers")
    if not _whole(offsets) or len(offsets) != 2:
        raise TensorsError(f"the data_offsets of tensor {name[:60]!r} are no two whole numbers")
    begin, end = offsets
    if end - begin != math.prod(shape) * _BITS[dtype] // 8:
        raise TensorsError(f"the bytes of tensor {name[:60]!r} do not fit its shape and dtype")
    return TensorAt(dtype, tuple(shape), start + begin, start + end)


def _whole(values: Any) -> bool:
    return isinstance(values, list) and all(type(value) is int and 0 <= value < 2**48 for value in values)
