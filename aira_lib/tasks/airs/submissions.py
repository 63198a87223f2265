"""Submissions of known quality, by which a task's scorer is tried: gold, permuted gold, random, cut short."""

import csv
import io
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from aira_lib.tasks.airs.cells import cell
from aira_lib.tasks.airs.folder import CUSTOM_LABELS, TaskFolder
from aira_lib.tasks.airs.metadata import SUBMISSION_CSV, TaskFolderError
from aira_lib.tasks.airs.scripts import run_script

GOLD = "gold_submission"
RANDOM = ("gold_submission_random_1", "gold_submission_random_2")
INVALID = "invalid_submission"
Row = list[str]


@dataclass(frozen=True)
class Table:
    """A submission.csv: its header and its rows."""

    header: Row
    rows: list[Row]

    def with_rows(self, rows: list[Row]) -> "Table":
        """The same header over other rows."""
        return Table(self.header, rows)

    def text(self) -> str:
        """As CSV."""
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([self.header, *self.rows])
        return text.getvalue()

    def write(self, path: Path) -> None:
        """Write it as CSV."""
        path.write_text(self.text(), encoding="utf-8", newline="")


def read_table(path: Path) -> Table:
    """Read a submission with one header line.

    Raises:
        TaskFolderError: it is not CSV, or has no row.
    """
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    try:
        with path.open(encoding="utf-8", newline="") as file:
            header, *rows = [row for row in csv.reader(file) if row]
    except (ValueError, csv.Error, UnicodeDecodeError) as error:
        raise TaskFolderError(f"{path}: not a CSV file with a header and rows ({error})") from None
    if not rows:
        raise TaskFolderError(f"{path}: has a header but no row")
    return Table(header, rows)


def permuted(gold: Table, share: float, rng: Random) -> Table:
    """Permute a random share of the rows (at least two) among each other; the rest stays.

    Raises:
        TaskFolderError: the rows are all equal, so no permutation changes anything.
    """
    chosen = rng.sample(range(len(gold.rows)), min(len(gold.rows), max(2, round(share * len(gold.rows)))))
    for _ in range(100):
        order = rng.sample(chosen, len(chosen))
        rows = list(gold.rows)
        for place, source in zip(chosen, order, strict=True):
            rows[place] = gold.rows[source]
        if rows != gold.rows:
            return gold.with_rows(rows)
        chosen = rng.sample(range(len(gold.rows)), len(chosen))
    raise TaskFolderError("the gold submission's rows are all equal: no permutation of them can be told from gold")


def drawn(gold: Table, rng: Random) -> Table:
    """As many rows, each drawn from the gold's: a guess that knows the labels' frequencies and nothing else."""
    return gold.with_rows(rng.choices(gold.rows, k=len(gold.rows)))


def own_gold(task: TaskFolder, shared: Path, scratch: Path, seconds: float) -> Table | None:
    """The task's own gold submission: its file, or what custom_labels.py writes; None where it has neither.

    Raises:
        ScriptFailure: custom_labels.py failed.
        TaskFolderError: it wrote no gold, or no table.
    """
    own = task.path / f"{GOLD}.csv"
    if own.is_file():
        return read_table(own)
    if not (task.path / CUSTOM_LABELS).is_file():
        return None
    arguments = ["--global-shared-data-dir", str(shared.resolve()), "--output-directory", str(scratch.resolve())]
    run_script(task.path / CUSTOM_LABELS, arguments, scratch, seconds)
    made = scratch / f"{GOLD}.csv"
    if not made.is_file():
        raise TaskFolderError(f"{CUSTOM_LABELS} wrote no {GOLD}.csv into its output directory")
    return read_table(made)


def gold_of_labels(columns: Sequence[str], folder: Path) -> Table:
    """The scoring columns of a data set that Hugging Face's `save_to_disk` wrote.

    Raises:
        TaskFolderError: it is none, or has no such columns.
    """
    import pyarrow as pa

    files = sorted(folder.glob("*.arrow"))
    if not files:
        raise TaskFolderError(f"no gold submission: add {GOLD}.csv or {CUSTOM_LABELS} to the task folder")
    parts = []
    for file in files:
        with pa.memory_map(str(file)) as source:
            parts.append(pa.ipc.open_stream(source).read_all())
    table = pa.concat_tables(parts)
    missing = [column for column in columns if column not in table.column_names]
    if missing:
        raise TaskFolderError(f"test_with_labels has no column {missing[0]!r} (logging_info.scoring_column)")
    rows = zip(*(table[column].to_pylist() for column in columns), strict=True)
    return Table(list(columns), [[cell(value) for value in row] for row in rows])


def copy_exports(task: TaskFolder, source: Path, log: Path) -> None:
    """Copy the files that a task exports (`file_export_globs`) into the log folder; links are not followed.

    Raises:
        TaskFolderError: a glob matches no regular file.
    """
    for pattern in task.metadata.file_export_globs:
        found = [path for path in sorted(source.glob(pattern)) if path.is_file() and not path.is_symlink()]
        if not found:
            raise TaskFolderError(f"{source}: no file {pattern!r} (file_export_globs)")
        for path in found:
            target = log / path.relative_to(source)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())


def write_csv_submission(table: Table, log: Path) -> None:
    """Put a table where evaluate_prepare.py looks for the submission."""
    table.write(log / SUBMISSION_CSV)
