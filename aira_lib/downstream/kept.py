"""Finished tasks in a workplace: a kill at any moment loses the task that was being scored, and no other.

Each has a file of its score, which is written last, beside one of its items. At the end they become one record.
"""

import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError

from aira_lib.records import ITEMS, TaskScore, read_row
from aira_lib.store.files import write_file
from aira_lib.work import Work

ITEMS_SCHEMA = pa.schema(
    [
        ("task", pa.string()),
        ("shots", pa.int32()),
        ("item", pa.int64()),
        ("digest", pa.string()),
        ("gold", pa.int32()),
        ("chosen", pa.int32()),
        ("loglikelihoods", pa.list_(pa.float64())),
        ("lengths", pa.list_(pa.int32())),
        ("answer", pa.string()),
        ("acc", pa.float64()),
        ("acc_norm", pa.float64()),
        ("f1", pa.float64()),
        ("exact", pa.float64()),
        ("cut", pa.bool_()),
    ]
)
"""Of `items.parquet`: `item` is the index in the split's own order, `digest` the SHA-256 of the item, `gold` and
`chosen` are numbers of choices, `loglikelihoods` those of the choices in nats, `lengths` their characters, by which
acc_norm divides; `answer` is a text that was generated. What an item does not have is null."""

_FOLDER = "tasks"

Items = Sequence[dict[str, Any]]
"""Rows of `ITEMS_SCHEMA`; what is left out is null."""


class FinishedTasks:
    """Those of one record."""

    def __init__(self, work: Work) -> None:
        self._work = work

    def score(self, task: str, shots: int) -> TaskScore | None:
        """The score of a task that an earlier attempt finished; None: none did."""
        name = self._name(task, shots)
        with suppress(OSError, ValidationError):
            score = read_row(self._work.path / f"{name}.json", TaskScore)
            if (self._work.path / f"{name}.parquet").is_file():
                return score
        return None

    def keep(self, score: TaskScore, items: Items) -> None:
        """Keep a task that is finished: from now on no later attempt computes it."""
        name = self._name(score.task, score.shots)
        (self._work.path / _FOLDER).mkdir(exist_ok=True)
        _write(self._work.path / f"{name}.parquet", pa.Table.from_pylist(list(items), ITEMS_SCHEMA))
        self._work.push(f"{name}.parquet")
        write_file(self._work.path / f"{name}.json", score.json_line().encode())
        self._work.push(f"{name}.json")

    def join(self, scores: Sequence[TaskScore]) -> None:
        """Write the items of all tasks to one file, in the order of the scores."""
        names = [f"{self._name(score.task, score.shots)}.parquet" for score in scores]
        tables = [pq.read_table(self._work.path / name, schema=ITEMS_SCHEMA) for name in names]
        _write(self._work.path / ITEMS, pa.concat_tables(tables or [ITEMS_SCHEMA.empty_table()]))

    def clear(self) -> None:
        """Remove what the record has in whole."""
        shutil.rmtree(self._work.path / _FOLDER, ignore_errors=True)

    def _name(self, task: str, shots: int) -> str:
        return f"{_FOLDER}/{task}-{shots}"


def _write(path: Path, table: pa.Table) -> None:
    """Write a table whole or not at all."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    write_file(path, sink.getvalue().to_pybytes())
