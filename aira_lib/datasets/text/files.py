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
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from aira_lib.datasets.text.corpus import SEPARATOR, Corpus, Part, corpus_of, goes_to_validation
from aira_lib.datasets.text.reading import (
    PACKED,
    Span,
    begins_with_json_string,
    json_lines,
    plain_texts,
    row_batches,
)
from aira_lib.errors import UserError

_LINES = (".jsonl", ".json", ".ndjson")
_PLAIN = (".txt", ".md")


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
    if packed := next((file for file in found if file.suffix in PACKED and _unread(Path(file.stem))), None):
        raise UserError(f"{packed}: not read compressed; unpack it, or take it out; known kinds: {_known_kinds()}")
    return files


def _unread(path: Path) -> bool:
    """Whether a file of this name would be read, but not compressed."""
    return kind_of(path) not in ("", *_LINES, *_PLAIN)


def kind_of(path: Path) -> str:
    """The suffix that says what a file holds, that within a compressed one; nothing for an unknown kind."""
    suffixes = [suffix for suffix in path.suffixes if suffix not in PACKED]
    kind = suffixes[-1] if suffixes else ""
    if path.suffix in PACKED:
        return kind if kind in (*_LINES, *_PLAIN) else ""
    return kind if kind in (*_LINES, *_PLAIN, ".parquet") else ""


def holds_lines(path: Path) -> bool:
    """Whether a file can be read from any byte on: JSON lines that are not compressed."""
    return path.suffix in _LINES


def _known_kinds() -> str:
    packed = (f"{kind}{suffix}" for kind in (_LINES[0], _PLAIN[0]) for suffix in PACKED)
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
    if kind == ".txt" and begins_with_json_string(span.file):
        return _line_texts(span, None)
    if kind in _LINES:
        return _line_texts(span, text_field)
    if kind:
        return plain_texts(span.file, longest)
    raise UserError(f"{span.file}: not a known kind of text file; known: {_known_kinds()}")


def _line_texts(span: Span, text_field: str | None) -> Iterator[tuple[str, int]]:
    """The texts of lines of JSON: of a field, or (None) the lines' values themselves."""
    return json_lines(span, lambda record: _text_of(record, text_field))


def _text_of(record: object, text_field: str | None) -> str:
    if text_field is None and isinstance(record, str):
        return record
    text = record.get(text_field) if isinstance(record, dict) else None
    if not isinstance(text, str):
        raise ValueError(f"no text in field {text_field!r}")
    return text


def _parquet_texts(span: Span, text_field: str) -> Iterator[tuple[str, int]]:
    for batch, read in row_batches(span, text_field):
        yield from ((text, read) for text in batch.column(0).to_pylist() if isinstance(text, str))


def records_of(file: Path) -> Iterator[Any]:
    """What a file holds one by one, whatever its fields: values of lines of JSON, rows of Parquet, or a whole text.

    Raises:
        UserError: it cannot be read as what its name says.
    """
    kind = kind_of(file)
    if kind == ".parquet":
        for batch, _ in row_batches(Span(file), None):
            yield from batch.to_pylist()
    elif kind in _LINES:
        yield from (record for record, _ in json_lines(Span(file), lambda record: record))
    else:
        yield from documents_of([file])
