"""The journal of a search: one JSON line a node, only ever appended to, safe against a kill at any point."""

import os
from pathlib import Path
from typing import Generic

from pydantic import ValidationError

from aira_lib.errors import StoreError
from aira_lib.records import Node, RowT

# Some readers end a line at these too; in JSON they occur only within strings, where an escape means the same.
_LINE_ENDS = {0x85: "\\u0085", 0x2028: "\\u2028", 0x2029: "\\u2029"}


class RowFile(Generic[RowT]):
    """Rows in the order in which they came, and the file that holds them.

    Once `append` returns, a row outlives the process; once the file is pushed (see `aira_lib.work.Work`), which puts
    it on the disk, it outlives the machine. An append that was cut short leaves a torn last line, which the next
    opening cuts off: what it was of is then simply done again.
    """

    def __init__(self, path: Path, kind: type[RowT], what: str) -> None:
        """Open a file, or begin an empty one; `what` is what a row is, for errors.

        Raises:
            StoreError: the file cannot be read, or a line that is not the last is no such row.
        """
        self.path, self._kind, self._what = path, kind, what
        try:
            self.rows = self._load()
        except OSError as error:
            raise self._refused(error) from None

    def append(self, row: RowT) -> None:
        """Add a row by one write. What the disk is asked for is left to the push: twice a node takes twice as long.

        Raises:
            StoreError: the disk is full or refuses; the journal is as it was before.
        """
        line = row.json_line().translate(_LINE_ENDS).encode()
        try:
            with open(self.path, "ab", buffering=0) as file:
                size = file.tell()
                try:
                    _write_all(file.fileno(), line)
                except OSError:
                    file.truncate(size)
                    raise
        except OSError as error:
            raise self._refused(error) from None
        self.rows.append(row)

    def _load(self) -> list[RowT]:
        self.path.touch()  # a search that may ask nothing at all leaves an empty journal
        content = self.path.read_bytes()
        rows: list[RowT] = []
        good = 0
        for line in content.splitlines(keepends=True):
            try:
                row = self._kind.model_validate_json(line)
            except ValidationError as error:
                if good + len(line) == len(content):
                    break
                raise StoreError(
                    f"{self.path}:{len(rows) + 1}: not {self._what} ({error.error_count()} problems); "
                    "the journal was changed from outside, delete this line or the file"
                ) from None
            if not line.endswith(b"\n"):
                break
            rows.append(row)
            good += len(line)
        if good < len(content):
            os.truncate(self.path, good)
        return rows

    def _refused(self, error: OSError) -> StoreError:
        return StoreError(f"{self.path}: {error.strerror}; mend that and run the same command again, nothing is lost")


class Journal(RowFile[Node]):
    """A search's nodes, in the order of their steps, and the file that holds them."""

    def __init__(self, path: Path) -> None:
        """Open a journal, or begin an empty one.

        Raises:
            StoreError: see `RowFile`.
        """
        super().__init__(path, Node, "a node of a search")

    @property
    def nodes(self) -> list[Node]:
        """All of them."""
        return self.rows


def _write_all(descriptor: int, content: bytes) -> None:
    written = os.write(descriptor, content)
    while written < len(content):
        written += os.write(descriptor, content[written:])
