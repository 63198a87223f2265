"""Arrays of numbers as .npy files: those that a task prepared, and those that submitted code wrote, which are hostile.

Of the latter the header is read first (without pickles, and of bounded length) and must be exactly what was asked for;
no memory is taken by what a header says.
"""

import io
import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aira_lib.asking import Arrays as Arrays
from aira_lib.study import CandidateLimits
from aira_lib.tasks.airs.metadata import TaskFolderError
from aira_lib.tasks.programs.section import Predictions

MOST_HEADER = 4_096
_MOST_ASKED = 4 * 2**30  # bytes of float32 predictions of one process, which are read into memory
_LOOKED_AT = 2**18  # numbers
_KINDS = {"float": "f", "int": "iu"}
_READERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


class ArrayError(Exception):
    """Submitted code wrote something else than the array that was asked for; the text is feedback to the agent."""


def read_predictions(content: bytes, rows: int, wanted: Predictions, name: str, widen: bool = True) -> NDArray[Any]:
    """The predictions that an .npy file holds.

    Args:
        content: The file.
        rows: How many were asked for.
        wanted: What a row's prediction is.
        name: Of the file, for the error.
        widen: Whether float32 becomes float64; large ones better stay as they are.

    Returns:
        float64 (or float32, as said) or int64 [rows, *wanted.shape], finite.

    Raises:
        ArrayError: it is no .npy file, or holds another shape or kind, or numbers that are not finite; one line.
    """
    shape, dtype, fortran, start = _header(content, name)
    expected = (rows, *wanted.shape)
    if dtype.hasobject or dtype.kind not in _KINDS[wanted.kind] or dtype.itemsize > 8:
        raise ArrayError(f"{name} holds {str(dtype)[:40]}, where {wanted.kind} numbers are asked for")
    if shape != expected:
        raise ArrayError(f"{name} has the shape {_short(shape)}, where {_short(expected)} is asked for")
    if len(content) - start != math.prod(shape) * dtype.itemsize:
        raise ArrayError(f"{name} has {len(content) - start:,} bytes of numbers, which do not fit its shape")
    read = np.frombuffer(content, dtype, offset=start).reshape(shape, order="F" if fortran else "C")
    kept = wanted.kind == "float" and not widen and dtype == np.float32
    values = np.ascontiguousarray(read, np.float32 if kept else np.float64 if wanted.kind == "float" else np.int64)
    if wanted.kind == "float" and (bad := _rows_not_finite(values)):
        raise ArrayError(f"{name} holds NaN or infinity in {bad:,} of {rows:,} rows")
    return values


def _rows_not_finite(values: NDArray[Any]) -> int:
    """How many rows hold NaN or infinity; some are looked at a time, which needs no memory as large as they are."""
    flat = values.reshape(len(values), -1)
    step = max(1, _LOOKED_AT // max(1, flat.shape[1]))
    parts = (flat[at : at + step] for at in range(0, len(flat), step))
    return sum(int(np.count_nonzero(~np.isfinite(part).all(axis=1))) for part in parts)


def read_encodings(content: bytes, rows: int, width: int, name: str) -> NDArray[Any]:
    """The encodings that an .npy file holds: float [rows, d], where d is at most `width`.

    Raises:
        ArrayError: as for `read_predictions`, or they are wider.
    """
    shape, *_ = _header(content, name)
    if len(shape) != 2 or not 1 <= shape[1] <= width:
        asked = f"({rows}, d) with d of at most {width} is asked for"
        raise ArrayError(f"{name} has the shape {_short(shape)}, where {asked}")
    return read_predictions(content, rows, Predictions(shape=(shape[1],)), name, widen=False)


def most_bytes(rows: int, wanted: Predictions) -> int:
    """Of such a file."""
    return MOST_HEADER + 128 + 8 * rows * math.prod(wanted.shape)


def most_rows(wanted: Predictions, limits: CandidateLimits) -> int:
    """Rows whose predictions fit a file that one process may write."""
    room = min(_MOST_ASKED, limits.disk_mb * 2**20 * 9 // 10)
    return max(1, room // (4 * math.prod(wanted.shape)))


def _header(content: bytes, name: str) -> tuple[tuple[int, ...], np.dtype[Any], bool, int]:
    """Shape, dtype, whether columns come first, and where the numbers begin."""
    file = io.BytesIO(content[: MOST_HEADER + 16])
    try:
        version = np.lib.format.read_magic(file)
        shape, fortran, dtype = _READERS[version](file, max_header_size=MOST_HEADER)
    except KeyError:
        raise ArrayError(f"{name} is of another version of the .npy format; write it with numpy.save") from None
    except Exception:  # whatever a header that nobody wrote in good faith makes NumPy's reader stumble over
        raise ArrayError(f"{name} is no .npy file; write it with numpy.save") from None
    return shape, dtype, fortran, file.tell()


def _short(shape: tuple[int, ...]) -> str:
    text = str(shape)
    return text if len(text) <= 60 else f"{text[:57]}..."


def read_split(folder: Path) -> dict[str, NDArray[Any]]:
    """The arrays of a split that a task prepared, mapped and not read.

    Raises:
        TaskFolderError: there is none, or a file holds no numbers, or rows do not agree.
    """
    found: dict[str, NDArray[Any]] = {}
    for path in sorted(folder.glob("*.npy")):
        place = f"{folder.name}/{path.name}"
        try:
            array = np.load(path, mmap_mode="r", allow_pickle=False)
        except (ValueError, OSError, EOFError):
            raise TaskFolderError(f"{place}: no .npy file of numbers; write it with numpy.save") from None
        if array.dtype.kind not in "biuf" or not array.ndim:
            raise TaskFolderError(f"{place}: must hold numbers in rows, not {array.dtype}")
        found[path.name] = array
    if not found:
        raise TaskFolderError(f"{folder.name}: no .npy file was written there; rows of submitted code lie in such")
    counts = {name: len(array) for name, array in found.items()}
    if len(set(counts.values())) > 1 or 0 in counts.values():
        told = ", ".join(f"{name} {count}" for name, count in counts.items())
        raise TaskFolderError(f"{folder.name}: its files must have equally many rows, and at least one; {told}")
    return found


def write_split(arrays: Arrays, folder: Path) -> None:
    """Write arrays into a folder, which is made where it is not there."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in arrays.items():
        np.save(folder / name, array, allow_pickle=False)


def rows_in(arrays: Arrays) -> int:
    """How many rows the arrays of a split have."""
    return len(next(iter(arrays.values())))


def in_words(arrays: Arrays, place: str) -> list[str]:
    """A line for each file of a split: its name, dtype and shape."""
    return [f"- {place}/{name}: {array.dtype} {_short(array.shape)}" for name, array in arrays.items()]
