"""What all records are made of: rows, the manifest, stand-ins; and how they are written and read."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict

from aira_lib.foreign import harmless

# A view of a search's journal for people, kept beside its record and no part of it: it may be drawn anew at any time.
PAGE = "page.html"


def _harmless(value: Any) -> Any:
    return harmless(value) if isinstance(value, str) else value


HarmlessText = Annotated[str, BeforeValidator(_harmless)]
"""What others may have written (see `aira_lib.foreign`)."""


class Row(BaseModel):
    """Base of all records: strict, frozen, one JSON line."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def json_line(self) -> str:
        """The row as one line of JSON, newline included."""
        return json.dumps(self.model_dump(mode="json"), ensure_ascii=False, allow_nan=False) + "\n"


class StandIn(Row):
    """Something small or synthetic in the place of what the paper used; shown in every result that it touches."""

    what: HarmlessText
    instead_of: HarmlessText
    detail: HarmlessText = ""

    def __str__(self) -> str:
        return f"{self.what}, in the place of {self.instead_of}"


class FileEntry(Row):
    """One file of a record."""

    name: str
    bytes: int
    sha256: str


class Manifest(Row):
    """What a record is, what made it and which files it has. Written last.

    `attempt` is the subfolder of the files, that of the attempt at making the record that came to its end.
    """

    stage: str
    version: int = 1
    unit: str
    key: str
    study: str
    spec_digest: str
    section: dict[str, Any]
    inputs: tuple[str, ...] = ()
    stand_ins: tuple[StandIn, ...] = ()
    versions: dict[str, str] = {}
    attempt: str = ""
    files: tuple[FileEntry, ...] = ()
    seconds: float = 0.0
    created: str = ""


RowT = TypeVar("RowT", bound=Row)


def write_rows(path: Path, rows: Iterable[Row]) -> None:
    """Write rows to a new file, one JSON line each."""
    path.write_text("".join(row.json_line() for row in rows), encoding="utf-8")


def read_rows(path: Path, kind: type[RowT]) -> list[RowT]:
    """Read all rows of a file."""
    return [kind.model_validate_json(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


def read_row(path: Path, kind: type[RowT]) -> RowT:
    """Read a file that holds one row."""
    return kind.model_validate_json(path.read_text(encoding="utf-8"))


def read_columns(path: Path) -> dict[str, list[Any]]:
    """Read a Parquet file such as `loss.parquet` as columns."""
    import pyarrow.parquet as pq

    return dict(pq.read_table(path).to_pydict())
