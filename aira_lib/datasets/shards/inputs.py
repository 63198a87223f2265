"""What is to become shards, in parts that processes read side by side: a function of the inputs alone.

A part holds whole small files, or a range of bytes of a file of JSON lines, or row groups of a Parquet file, or one of
the parts into which a Hugging Face data set divides. A compressed file is one part however large it is.
"""

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field

from aira_lib.datasets.text.files import Span, clean, documents_in, holds_lines, text_files
from aira_lib.datasets.text.sources import hub_documents, hub_parts_at_once, objects
from aira_lib.errors import UserError
from aira_lib.records import Row
from aira_lib.store import open_store
from aira_lib.store.files import disk_errors

LONGEST_DOCUMENT = 1 << 22
"""Characters of a plain file after which the next end of a line ends a document, so that no file is held whole."""

PARTS = 64
SMALLEST_PART, LARGEST_PART = 16 << 20, 1 << 30
"""Bytes of a part: a 64th of the whole within these bounds."""


class Input(Row):
    """A file, an object or a data set. `tag` changes with its content; a data set has no size that is known."""

    name: str
    bytes: int = Field(ge=0)
    tag: str


@dataclass(frozen=True)
class Piece:
    """A part of one input, as it is opened; `bytes` is its size where that is known, else 0."""

    place: str
    start: int = 0
    stop: int | None = None
    bytes: int = 0


@dataclass(frozen=True)
class Inputs:
    """All inputs in order, and the parts to read side by side, each of pieces in order."""

    entries: tuple[Input, ...]
    parts: tuple[tuple[Piece, ...], ...]

    @property
    def bytes(self) -> int:
        """Of all inputs whose size is known."""
        return sum(entry.bytes for entry in self.entries)


def find_inputs(places: Sequence[str], part_bytes: int | None = None) -> Inputs:
    """The inputs that some places name, and their parts. No text is read.

    Args:
        places: files and folders, ``s3://bucket/key`` or prefixes, ``hf://OWNER/NAME[/CONFIG][@SPLIT]``.
        part_bytes: size of a part; None is a 64th of the whole within bounds.

    Raises:
        UserError: nothing is there, or something is of no known kind.
        MissingDependency: a Hugging Face data set without the package `datasets`.
    """
    found = [each for place in places for each in _entries(place)]
    if not found:
        raise UserError(f"{', '.join(places)}: no text files there")
    total = sum(entry.bytes for entry, _ in found)
    size = part_bytes or min(max(total // PARTS, SMALLEST_PART), LARGEST_PART)
    pieces = [piece for entry, place in found for piece in _pieces(place, entry.bytes, size)]
    return Inputs(tuple(entry for entry, _ in found), tuple(_grouped(pieces, size)))


def documents_of_piece(piece: Piece, text_field: str) -> Iterator[tuple[str, int]]:
    """The documents of a piece, in order, each with the bytes of the input that were read till then.

    Raises:
        UserError: it cannot be read as what its name says.
    """
    if piece.place.startswith("hf://"):
        texts = hub_documents(piece.place, text_field, piece.start, piece.stop or 1)
        return ((document, 0) for document in map(clean, texts) if document and not document.isspace())
    if piece.place.startswith("s3://"):
        return _of_object(piece, text_field)
    return documents_in(Span(Path(piece.place), piece.start, piece.stop), text_field, LONGEST_DOCUMENT)


def _of_object(piece: Piece, text_field: str) -> Iterator[tuple[str, int]]:
    bucket, _, key = piece.place.removeprefix("s3://").partition("/")
    with tempfile.TemporaryDirectory(prefix="aira-text-") as folder:
        file = Path(folder) / Path(key).name
        open_store(f"s3://{bucket}").get(key, file)
        yield from documents_in(Span(file), text_field, LONGEST_DOCUMENT)


def _entries(place: str) -> list[tuple[Input, str]]:
    """Inputs with the place from which each is read. Files are named as what they are called, not where they lie."""
    if place.startswith("hf://"):
        # It brings all of a study's settings, for which no process that makes shards should wait.
        from aira_lib.datasets.text.identity import text_contents

        ((_, commit),) = text_contents([place])
        return [(Input(name=place, bytes=0, tag=commit), place)]
    if place.startswith("s3://"):
        bucket = "/".join(place.split("/")[:3])
        found, sizes = objects(place), open_store(bucket).sizes(place.removeprefix(bucket).strip("/"))
        return [(Input(name=f"{bucket}/{name}", bytes=sizes[name], tag=tag), f"{bucket}/{name}") for name, tag in found]
    return [_file(file) for file in text_files(Path(place).expanduser())]


def _file(file: Path) -> tuple[Input, str]:
    with disk_errors(file):
        found = file.stat()
    return Input(name=file.name, bytes=found.st_size, tag=str(found.st_mtime_ns)), str(file)


def _pieces(place: str, size: int, most: int) -> Iterator[Piece]:
    file = Path(place)
    if place.startswith("hf://"):
        parts = hub_parts_at_once(place)
        yield from (Piece(place, part, parts) for part in range(parts))
    elif place.startswith("s3://") or size <= most:
        yield Piece(place, bytes=size)
    elif file.suffix == ".parquet":
        yield from _row_groups(file, most)
    elif holds_lines(file):
        yield from (Piece(place, at, min(at + most, size), min(most, size - at)) for at in range(0, size, most))
    else:
        yield Piece(place, bytes=size)


def _row_groups(file: Path, most: int) -> Iterator[Piece]:
    """Successive row groups of together at least the bytes of a part, as they lie on the disk."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table: Any = pq.read_metadata(file)
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{file}: cannot be read as Parquet ({str(error).splitlines()[0]})") from None
    rows = [table.row_group(group).num_rows for group in range(table.num_row_groups)]
    a_row = file.stat().st_size / max(1, sum(rows))
    start = held = 0
    for group, count in enumerate(rows):
        held += count
        if held * a_row >= most or group == len(rows) - 1:
            yield Piece(str(file), start, group + 1, int(held * a_row))
            start, held = group + 1, 0


def _grouped(pieces: Sequence[Piece], most: int) -> Iterator[tuple[Piece, ...]]:
    """Pieces one after another while they are together no larger than a part; one without a size is a part."""
    group: list[Piece] = []
    for piece in pieces:
        if group and (not piece.bytes or not group[-1].bytes or sum(one.bytes for one in group) + piece.bytes > most):
            yield tuple(group)
            group = []
        group.append(piece)
    if group:
        yield tuple(group)
