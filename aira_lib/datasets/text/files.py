"""Corpora from files: JSON lines, Parquet and plain text, in the forms in which web text is published.

| files | a document is |
| --- | --- |
| `.jsonl`, `.json`, `.ndjson`, also with `.gz` or `.zst` (C4, Dolma, DCLM-Baseline) | the text field of a line |
| `.parquet` (DCLM-Baseline, FineWeb on Hugging Face) | the text column of a row |
| `.txt` whose first line is a JSON string (BabiStories as published) | a line |
| `.txt`, `.md` | a file |

Files are read in the order given, those of a folder by name, and no further than the byte limits need. A document is
held out by a hash of its content, so equal documents never fall on both sides; equal documents are taken once. Near
duplicates are not looked for: published corpora have been through that.
"""

import hashlib
import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from aira_lib.datasets.text.corpus import SEPARATOR, Corpus, Part, corpus_of, goes_to_validation
from aira_lib.errors import UserError

_LINES = (".jsonl", ".json", ".ndjson")
_PLAIN = (".txt", ".md")
_COMPRESSED = (".gz", ".zst")
_BATCH_ROWS = 256
_LONGEST_FIRST_LINE = 1 << 20


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
    return kind_of(path) not in ("", *_LINES)


def kind_of(path: Path) -> str:
    """The suffix that says what a file holds, that within a compressed one; nothing for an unknown kind."""
    suffixes = [suffix for suffix in path.suffixes if suffix not in _COMPRESSED]
    kind = suffixes[-1] if suffixes else ""
    if path.suffix in _COMPRESSED:
        return kind if kind in _LINES else ""
    return kind if kind in (*_LINES, *_PLAIN, ".parquet") else ""


def _known_kinds() -> str:
    return ", ".join((*_LINES, *(f"{_LINES[0]}{suffix}" for suffix in _COMPRESSED), ".parquet", *_PLAIN))


def documents_of(files: Sequence[Path], text_field: str = "text") -> Iterator[str]:
    """The documents of files, in order: none is blank, and none contains `SEPARATOR`.

    Raises:
        UserError: a file cannot be read as what its name says.
    """
    for file in files:
        for text in _texts(file, text_field):
            # A lone surrogate, which JSON can spell, is no text; the separator must not occur.
            document = text.encode("utf-8", "replace").decode().replace(chr(SEPARATOR), "")
            if document.strip():
                yield document


def _texts(file: Path, text_field: str) -> Iterator[str]:
    kind = kind_of(file)
    if kind == ".parquet":
        return _parquet_texts(file, text_field)
    if kind == ".txt" and _begins_with_json_string(file):
        return _line_texts(file, None)
    if kind in _LINES:
        return _line_texts(file, text_field)
    if kind:
        return _plain_text(file)
    raise UserError(f"{file}: not a known kind of text file; known: {_known_kinds()}")


def _begins_with_json_string(file: Path) -> bool:
    with file.open("rb") as opened:
        line = opened.readline(_LONGEST_FIRST_LINE)
    try:
        return line.startswith(b'"') and isinstance(json.loads(line), str)
    except ValueError:
        return False


def _plain_text(file: Path) -> Iterator[str]:
    try:
        yield file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise UserError(f"{file}: not UTF-8 text (byte {error.start}); convert it or leave it out") from None


def _line_texts(file: Path, text_field: str | None) -> Iterator[str]:
    """The texts of lines of JSON: of a field, or (None) the lines' values themselves."""
    import pyarrow as pa

    number = 0
    try:
        with pa.input_stream(str(file), compression="detect") as stream:
            for line in io.BufferedReader(stream):
                number += 1
                if line.strip():
                    yield _text_of(json.loads(line), text_field)
    except (ValueError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{file}:{max(1, number)}: not a line of JSON with text ({reason})") from None


def _text_of(record: object, text_field: str | None) -> str:
    if text_field is None and isinstance(record, str):
        return record
    text = record.get(text_field) if isinstance(record, dict) else None
    if not isinstance(text, str):
        raise ValueError(f"no text in field {text_field!r}")
    return text


def _parquet_texts(file: Path, text_field: str) -> Iterator[str]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(file) as table:
            names = table.schema_arrow.names
            if text_field not in names:
                raise UserError(f"{file}: no column {text_field!r}; columns: {', '.join(names)}")
            for batch in table.iter_batches(batch_size=_BATCH_ROWS, columns=[text_field]):
                yield from (text for text in batch.column(0).to_pylist() if isinstance(text, str))
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{file}: cannot be read as Parquet ({str(error).splitlines()[0]})") from None
