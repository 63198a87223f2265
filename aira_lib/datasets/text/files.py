"""Corpora from files: JSON lines, Parquet and plain text, in the forms in which web text is published.

| files | a document is |
| --- | --- |
| `.jsonl`, `.json`, `.ndjson`, also with `.gz` or `.zst` (C4, Dolma, DCLM-Baseline) | the text field of a line |
| `.parquet` (DCLM-Baseline, FineWeb on Hugging Face) | the text column of a row |
| `.txt` whose first line is a JSON string (BabiStories as published) | a line |
| `.txt`, `.md`, also with `.gz` or `.zst` | a file |

Files are read in the order given, those of a folder by name, and no further than the byte limits need. A document is
held out by a hash of its content, so equal documents never fall on both sides; equal documents are taken once. Near
duplicates are not looked for: published corpora have been through that.
"""

import hashlib
import io
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TypeVar, cast

from pydantic_core import from_json

from aira_lib.datasets.text.corpus import SEPARATOR, Corpus, Part, corpus_of, goes_to_validation
from aira_lib.errors import UserError

_LINES = (".jsonl", ".json", ".ndjson")
_PLAIN = (".txt", ".md")
_COMPRESSED = (".gz", ".zst")
_BATCH_ROWS = 256
_LONGEST_FIRST_LINE = 1 << 20
_BUFFER = 1 << 16

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


def text_files_corpus(
    *paths: str | Path,
    max_train_bytes: int | None = None,
    max_validation_bytes: int | None = None,
    text_field: str = "text",
) -> Corpus:
    """A corpus of files and folders of files.

    Args:
        paths: files, or folders that are searched to any depth for files of the known kinds.
        max_train_bytes: size limit of training, None for none; filled with whole documents.
        max_validation_bytes: size limit of validation, None for none.
        text_field: the field or column that holds the text.

    Raises:
        UserError: a path is missing or of no known kind, a file cannot be read as what its name says, or the files
            hold no document for one of the two splits.
    """
    files = [file for path in paths for file in text_files(Path(path).expanduser())]
    train, validation = Part(max_train_bytes), Part(max_validation_bytes)
    seen: set[bytes] = set()
    for document in (text.encode() for text in documents_of(files, text_field)):
        digest = hashlib.sha256(document).digest()
        if digest not in seen:
            seen.add(digest)
            (validation if goes_to_validation(digest) else train).add(document)
        if train.full and validation.full:
            break
    corpus = corpus_of(train, validation, {"corpus": "files", "files": [file.name for file in files]})
    if not len(corpus.train) or not len(corpus.validation):
        raise UserError(
            f"{', '.join(map(str, paths))}: {len(seen)} distinct documents are too few for a training and a validation "
            "split (one in ten is held out); add files"
        )
    return corpus


def text_files(path: Path, must_exist: bool = True) -> list[Path]:
    """A file itself, or the files of known kinds in a folder by name, to any depth.

    A path that need not exist is judged by its name alone.

    Raises:
        UserError: nothing is there, or the folder has no such file.
    """
    if not must_exist:
        return [path] if kind_of(path) else []
    if not path.exists():
        raise UserError(f"{path}: no such file or folder; name text files of the kinds {_known_kinds()}")
    if path.is_file():
        return [path]
    found = sorted(file for file in path.rglob("*") if file.is_file())
    files = [file for file in found if kind_of(file)]
    if not files:
        raise UserError(f"{path}: no text files in this folder; known kinds: {_known_kinds()}")
    # What is beside text is no text; but what was packed as text is meant to be read.
    if packed := next((file for file in found if file.suffix in _COMPRESSED and _unread(Path(file.stem))), None):
        raise UserError(f"{packed}: not read compressed; unpack it, or take it out; known kinds: {_known_kinds()}")
    return files


def _unread(path: Path) -> bool:
    """Whether a file of this name would be read, but not compressed."""
    return kind_of(path) not in ("", *_LINES, *_PLAIN)


def kind_of(path: Path) -> str:
    """The suffix that says what a file holds, that within a compressed one; nothing for an unknown kind."""
    suffixes = [suffix for suffix in path.suffixes if suffix not in _COMPRESSED]
    kind = suffixes[-1] if suffixes else ""
    if path.suffix in _COMPRESSED:
        return kind if kind in (*_LINES, *_PLAIN) else ""
    return kind if kind in (*_LINES, *_PLAIN, ".parquet") else ""


def holds_lines(path: Path) -> bool:
    """Whether a file can be read from any byte on: JSON lines that are not compressed."""
    return path.suffix in _LINES


def _known_kinds() -> str:
    packed = (f"{kind}{suffix}" for kind in (_LINES[0], _PLAIN[0]) for suffix in _COMPRESSED)
    return ", ".join((*_LINES, *_PLAIN, ".parquet", *packed))


def documents_of(files: Sequence[Path], text_field: str = "text") -> Iterator[str]:
    """The documents of files, in order: none is blank, and none contains `SEPARATOR`.

    Raises:
        UserError: a file cannot be read as what its name says.
    """
    for file in files:
        for document, _ in documents_in(Span(file), text_field):
            yield document


def documents_in(span: Span, text_field: str = "text", longest: int | None = None) -> Iterator[tuple[str, int]]:
    """The documents of a part of a file, as `documents_of`, each with the bytes of the file that were read till then.

    Args:
        span: the part.
        text_field: the field or column that holds the text.
        longest: characters after which a plain file ends a document at the next end of a line; None: it is one.

    Raises:
        UserError: the file cannot be read as what its name says.
    """
    for text, read in _texts(span, text_field, longest):
        document = clean(text)
        if document and not document.isspace():
            yield document, read


def clean(text: str) -> str:
    """A text as a document: a lone surrogate, which JSON can spell, is no text; `SEPARATOR` must not occur."""
    if not text.isascii():
        text = text.encode("utf-8", "replace").decode()
    return text.replace(chr(SEPARATOR), "")


def _texts(span: Span, text_field: str, longest: int | None) -> Iterator[tuple[str, int]]:
    kind = kind_of(span.file)
    if kind == ".parquet":
        return _parquet_texts(span, text_field)
    if kind == ".txt" and _begins_with_json_string(span.file):
        return _line_texts(span, None)
    if kind in _LINES:
        return _line_texts(span, text_field)
    if kind:
        return _plain_texts(span.file, longest)
    raise UserError(f"{span.file}: not a known kind of text file; known: {_known_kinds()}")


@contextmanager
def _opened(file: Path) -> Iterator[tuple[IO[bytes], Any]]:
    """The file as it lies on the disk, and the stream of what it holds once it is unpacked."""
    with file.open("rb", buffering=0) as raw:
        codec, stream = {".gz": "gzip", ".zst": "zstd"}.get(file.suffix), cast(Any, raw)
        if codec:
            import pyarrow as pa

            stream = pa.CompressedInputStream(pa.PythonFile(raw, "r"), codec)
        yield raw, io.BufferedReader(stream, _BUFFER)


def _begins_with_json_string(file: Path) -> bool:
    try:
        with _opened(file) as (_, stream):
            line = stream.readline(_LONGEST_FIRST_LINE)
        return line.startswith(b'"') and isinstance(json.loads(line), str)
    except (ValueError, OSError):
        return False


def _plain_texts(file: Path, longest: int | None) -> Iterator[tuple[str, int]]:
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
        raise UserError(f"{file}: cannot be read ({str(error).splitlines()[0]})") from None


def _line_texts(span: Span, text_field: str | None) -> Iterator[tuple[str, int]]:
    """The texts of lines of JSON: of a field, or (None) the lines' values themselves."""
    return _lines(span, lambda record: _text_of(record, text_field))


def _lines(span: Span, take: Callable[[Any], T]) -> Iterator[tuple[T, int]]:
    """What `take` takes of each line of JSON, with the bytes that were read till then; it raises ValueError, too."""
    number, read, file, packed = 0, 0, span.file, span.file.suffix in _COMPRESSED
    try:
        with _opened(file) as (raw, stream):
            for line in stream if span.whole else _lines_from(stream, span):
                number += 1
                read += len(line)
                if line.strip():
                    yield take(_value(line)), raw.tell() if packed else read
    except (ValueError, OSError) as error:
        reason = str(error).splitlines()[0]
        place = _lines_before(span) + max(1, number)
        raise UserError(f"{file}:{place}: not a line of JSON with text ({reason})") from None


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


def _text_of(record: object, text_field: str | None) -> str:
    if text_field is None and isinstance(record, str):
        return record
    text = record.get(text_field) if isinstance(record, dict) else None
    if not isinstance(text, str):
        raise ValueError(f"no text in field {text_field!r}")
    return text


def _parquet_texts(span: Span, text_field: str) -> Iterator[tuple[str, int]]:
    for batch, read in _batches(span, text_field):
        yield from ((text, read) for text in batch.column(0).to_pylist() if isinstance(text, str))


def _batches(span: Span, column: str | None) -> Iterator[tuple[Any, int]]:
    """Rows of a Parquet file, with one column or all, and about the bytes that were read till then."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = span.file
    try:
        # Else a whole row group is held, which can be the file.
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


def records_of(file: Path) -> Iterator[Any]:
    """What a file holds one by one, whatever its fields: values of lines of JSON, rows of Parquet, or a whole text.

    Raises:
        UserError: it cannot be read as what its name says.
    """
    kind = kind_of(file)
    if kind == ".parquet":
        for batch, _ in _batches(Span(file), None):
            yield from batch.to_pylist()
    elif kind in _LINES:
        yield from (record for record, _ in _lines(Span(file), lambda record: record))
    else:
        yield from documents_of([file])
