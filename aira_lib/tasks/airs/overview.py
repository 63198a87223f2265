"""What lies in a prepared data folder, in words: a file tree, and the columns of what is a table."""

import json
from collections.abc import Iterator
from pathlib import Path

from aira_lib.foreign import harmless

_MOST_FILES = 8  # of a folder
_MOST_CHARACTERS = 6_000
_MOST_VALUE = 60
_HEAD = 65_536  # bytes read of a text file


def data_overview(folder: Path, name: str = "data") -> str:
    """Describe a folder to an agent that finds it as `./name`: sizes, columns, and one row of each table.

    At most 8 files a folder and 6,000 characters in all are described.
    """
    text = harmless("\n".join(_lines(folder, f"./{name}")))
    cut = text if len(text) <= _MOST_CHARACTERS else text[:_MOST_CHARACTERS].rsplit("\n", 1)[0] + "\n- ..."
    return f"{cut}\nThe files are read-only."


def _lines(folder: Path, name: str) -> Iterator[str]:
    entries = sorted(folder.iterdir(), key=lambda path: (path.is_dir(), path.name))
    for entry in entries[:_MOST_FILES]:
        shown = f"{name}/{entry.name}"
        if entry.is_dir():
            yield from _lines(entry, shown)
        else:
            yield f"- {shown}: {entry.stat().st_size:,} bytes{_content(entry)}"
    if len(entries) > _MOST_FILES:
        yield f"- {name}: {len(entries) - _MOST_FILES} more"


def _content(path: Path) -> str:
    """Columns and one row, as far as they can be told; nothing of a file that is not what its name says."""
    try:
        match path.suffix:
            case ".arrow":
                return _of_arrow(path)
            case ".csv" | ".tsv" | ".jsonl":
                return _of_lines(path)
    except (OSError, ValueError):  # pyarrow's errors are ValueErrors
        pass
    return ""


def _of_arrow(path: Path) -> str:
    import pyarrow as pa

    with pa.memory_map(str(path)) as source:
        table = pa.ipc.open_stream(source).read_all()
    columns = ", ".join(f"{field.name} ({field.type})" for field in table.schema)
    row = json.dumps({key: _short(value) for key, value in table.slice(0, 1).to_pylist()[0].items()}) if table else ""
    return (
        f", an Arrow stream (datasets.load_from_disk on its folder, or pyarrow.ipc.open_stream) of {table.num_rows:,} "
        f"rows; columns {columns}; first row {row}"
    )


def _of_lines(path: Path) -> str:
    with path.open("rb") as file:
        lines = file.read(_HEAD).decode("utf-8").split("\n")
        file.seek(0)
        count = sum(1 for _ in file)
    first, second = [*(line.rstrip("\r") for line in lines[:2]), "", ""][:2]
    return f", {count:,} lines; the first: {_short(first, 300)!r}, the second: {_short(second, 300)!r}"


def _short(value: object, most: int = _MOST_VALUE) -> str:
    text = str(value)
    return text if len(text) <= most else f"{text[:most]}..."
