"""The loss curve of a training, in a file beside its checkpoints: 48 bytes a step, appended and flushed.

A checkpoint of step n goes with the first n rows, whose hash it has: a resumed run cuts the file back to them, so that
interrupted and uninterrupted runs leave the same bytes. When the run has ended its rows are `loss.parquet`, and the
file goes.
"""

import struct
from collections.abc import Sequence
from operator import attrgetter
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from aira_lib.errors import UserError
from aira_lib.store.files import disk_errors, replacing, sync_file
from aira_lib.training.trainer import StepResult

FILE = "loss.curve"
TABLE = "loss.parquet"
_FIELDS = tuple(StepResult.__dataclass_fields__)
_ROW = struct.Struct(f"<{len(_FIELDS)}d")
_values = attrgetter(*_FIELDS)


class Curve:
    """The results of all steps so far, in memory and in a file. fp64 holds the whole numbers among them exactly."""

    def __init__(self, workspace: Path, steps: int) -> None:
        """Open the curve of a run that goes on after `steps` steps; what the file holds beyond them is cut off.

        Args:
            workspace: the record's folder.
            steps: finished steps of the checkpoint from which the run goes on, 0 for none.

        Raises:
            UserError: the file holds less, or another's steps.
            StoreError: the disk refuses.
        """
        self.path = workspace / FILE
        self.rows = _kept(self.path, steps)
        with replacing(self.path) as handle:
            handle.write(b"".join(map(_packed, self.rows)))
        with disk_errors(self.path):
            self._file: BinaryIO = self.path.open("ab")

    def append(self, result: StepResult) -> None:
        """Add a step's result; it survives the end of this process, but not yet that of the machine (see `sync`)."""
        self.rows.append(result)
        with disk_errors(self.path):
            self._file.write(_packed(result))
            self._file.flush()

    def sync(self) -> None:
        """Have what was appended survive the end of the machine: before the checkpoint that goes with it is written."""
        with disk_errors(self.path):
            sync_file(self.path)

    def skipped(self) -> int:
        """How many of the last steps in a row were not finite."""
        return next((at for at, row in enumerate(reversed(self.rows)) if row.finite), len(self.rows))

    def __enter__(self) -> "Curve":
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()


def finish_curve(workspace: Path) -> list[StepResult]:
    """Leave a curve as a table (`loss.parquet`) in place of its file: at every moment one of them is whole.

    Returns:
        Its rows.
    """
    rows = read_curve(workspace)
    with replacing(workspace / TABLE) as handle:
        pq.write_table(pa.table({name: [getattr(row, name) for row in rows] for name in _FIELDS}), handle)
    (workspace / FILE).unlink()
    return rows


def read_curve(workspace: Path) -> list[StepResult]:
    """The whole rows of a curve's file, of a run that may still go on; of no file none."""
    path = workspace / FILE
    with disk_errors(path):
        data = path.read_bytes() if path.exists() else b""
    whole = len(data) - len(data) % _ROW.size
    return [_result(values) for values in _ROW.iter_unpack(data[:whole])]


def reopen_curve(workspace: Path) -> None:
    """Make the file of a curve from its table, where that alone is left.

    So it is in a run that had ended, and was cut off before its record was finished, and in one that branches. Of a
    table that cannot be read nothing is made: the checkpoints beside it are then not used.
    """
    path, table = workspace / FILE, workspace / TABLE
    if path.exists() or not table.exists():
        return
    try:
        columns = pq.read_table(table).to_pydict()
        rows = [_result(values) for values in zip(*(columns[name] for name in _FIELDS), strict=True)]
    except (pa.ArrowException, OSError, LookupError):
        return
    with replacing(path) as handle:
        handle.write(b"".join(map(_packed, rows)))


def _kept(path: Path, steps: int) -> list[StepResult]:
    if not steps:
        return []
    rows = read_curve(path.parent)
    if [row.step for row in rows[:steps]] != list(range(1, steps + 1)):
        raise UserError(
            f"{path}: does not hold the {steps:,} steps of the checkpoint beside it; remove the folder "
            f"{path.parent} and run `aira pretrain` again"
        )
    return rows[:steps]


def _packed(result: StepResult) -> bytes:
    return _ROW.pack(*_values(result))


def _result(values: Sequence[float]) -> StepResult:
    return StepResult(int(values[0]), int(values[1]), *values[2:])


def tail_mean(rows: Sequence[StepResult]) -> float:
    """Mean loss of the last twentieth of the steps, of those that were taken: one step's loss is noisy."""
    taken = [row.loss for row in rows if row.finite]
    tail = taken[-max(1, len(rows) // 20) :]
    return sum(tail) / len(tail)
