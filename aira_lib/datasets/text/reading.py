"""Files as they lie on the disk, packed or not, as streams: lines of JSON, rows of Parquet, plain text."""

import io
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TypeVar, cast

from pydantic_core import from_json

from aira_lib.errors import UserError

PACKED = (".gz", ".zst")
_BATCH_ROWS = 256
_LONGEST_FIRST_LINE = 1 << 20
_BUFFER = 1 << 16
_WHOLE_COPY = "put a whole copy there, or leave it out"

T = TypeVar("T")


@dataclass(frozen=True)
class Span:
    """A part of a file.

    Attributes:
        file: any of the known kinds.
        start: of files of lines that are not compressed the first byte, of Parquet the first row group, else 0.
        stop: the first one behind the part; None is the end. A line belongs to the part in which it begins.
    """

    file: Path
    start: int = 0
    stop: int | None = None

    @property
    def whole(self) -> bool:
        """Whether it is all of the file."""
        return self.start == 0 and self.stop is None


def begins_with_json_string(file: Path) -> bool:
    """Whether the first line is a string of JSON."""
    try:
        with _opened(file) as (_, stream):
            line = stream.readline(_LONGEST_FIRST_LINE)
        return line.startswith(b'"') and isinstance(json.loads(line), str)
    except (ValueError, OSError):
        return False


def plain_texts(file: Path, longest: int | None) -> Iterator[tuple[str, int]]:
    """The text of a file, with the bytes that were read till then.

    Args:
        file: UTF-8 text.
        longest: characters after which the next end of a line ends a text; None: there is one.

    Raises:
        UserError: it is not UTF-8, or cannot be read.
    """
    try:
        with _opened(file) as (raw, stream):
            text = io.TextIOWrapper(stream, encoding="utf-8")
            if longest is None:
                yield text.read(), raw.tell()
                return
            while piece := text.read(longest):
                yield piece + text.readline(longest), raw.tell()
    except UnicodeDecodeError as error:
        place = f" (byte {error.start})" if longest is None else ""
        raise UserError(f"{file}: not UTF-8 text{place}; convert it or leave it out") from None
    except OSError as error:
        raise UserError(f"{file}: cannot be read ({str(error).splitlines()[0]}); {_WHOLE_COPY}") from None


def json_lines(span: Span, take: Callable[[Any], T]) -> Iterator[tuple[T, int]]:
    """What `take` takes of each line of JSON, with the bytes that were read till then.

    Raises:
        UserError: a line is no JSON, or `take` raises ValueError; it names the line. Or the file cannot be read.
    """
    number, read, file, packed = 0, 0, span.file, span.file.suffix in PACKED
    try:
        with _opened(file) as (raw, stream):
            for line in stream if span.whole else _lines_from(stream, span):
                number += 1
                read += len(line)
                if line.strip():
                    yield take(_value(line)), raw.tell() if packed else read
    except ValueError as error:
        reason = str(error).splitlines()[0]
        place = _lines_before(span) + max(1, number)
        raise UserError(
            f"{file}:{place}: not a line of JSON with text ({reason}); mend it, or leave the file out"
        ) from None
    except OSError as error:  # of the disk, or of what was packed and is cut short: there is no such line
        reason, at = str(error).splitlines()[0], f":{number + 1}" if span.whole else ""
        raise UserError(f"{file}{at}: cannot be read any further ({reason}); {_WHOLE_COPY}") from None


def _value(line: bytes) -> Any:
    """The value of a line of JSON. The quick reader refuses lone surrogates, and says less of what is wrong."""
    try:
        return from_json(line)
    except ValueError:
        return json.loads(line)


def _lines_from(stream: IO[bytes], span: Span) -> Iterator[bytes]:
    """The lines that begin in a part of a file."""
    at = span.start
    if at:
        stream.seek(at - 1)
        at += len(stream.readline()) - 1
    while (span.stop is None or at < span.stop) and (line := stream.readline()):
        at += len(line)
        yield line


def _lines_before(span: Span) -> int:
    """The lines that begin before a part of a file: counted for a message alone."""
    if not span.start:
        return 0
    with _opened(span.file) as (_, stream):
        return sum(1 for _ in _lines_from(stream, Span(span.file, 0, span.start)))


def row_batches(span: Span, column: str | None) -> Iterator[tuple[Any, int]]:
    """Rows of a Parquet file, with one column or all, and about the bytes that were read till then.

    Raises:
        UserError: it is no Parquet, or has no such column.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = span.file
    try:
        # Without these two a whole row group is held, which can be the file.
        with pq.ParquetFile(file, pre_buffer=False, buffer_size=_BUFFER) as table:
            names = table.schema_arrow.names
            if column is not None and column not in names:
                raise UserError(f"{file}: no column {column!r}; columns: {', '.join(names)}")
            groups = list(range(table.num_row_groups)[span.start : span.stop])
            a_row, rows = file.stat().st_size / max(1, table.metadata.num_rows), 0
            chosen = None if column is None else [column]
            for batch in table.iter_batches(_BATCH_ROWS, row_groups=groups, columns=chosen, use_threads=False):
                rows += batch.num_rows
                yield batch, int(rows * a_row)
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{file}: cannot be read as Parquet ({str(error).splitlines()[0]})") from None


@contextmanager
def _opened(file: Path) -> Iterator[tuple[IO[bytes], Any]]:
    """The file as it lies on the disk, and the stream of what it holds once it is unpacked."""
    with file.open("rb", buffering=0) as raw:
        codec, stream = {".gz": "gzip", ".zst": "zstd"}.get(file.suffix), cast(Any, raw)
        if codec:
            import pyarrow as pa

            stream = pa.CompressedInputStream(pa.PythonFile(raw, "r"), codec)
        yield raw, io.BufferedReader(stream, _BUFFER)
