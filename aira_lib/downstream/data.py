"""Where the items of downstream tasks lie, and how they are read: one form a task, whatever form they came in."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aira_lib.downstream.tables import DownstreamTask
from aira_lib.settings import scratch_folder

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class TaskData:
    """The items of one split of a task.

    Attributes:
        task: whose items.
        split: which split: `validation` or `test`.
        table: the items, a row each, with the columns that the harness reads, in the split's own order.
        golds: the number of each item's right choice, from 0; None where a task has no choices.
        digests: SHA-256 (hex) of each item's content, whatever file it came from.
        source: where they are from, and their common SHA-256, as `TaskScore.data` has it.
        note: what a score on them must say, such as that the paper scores another split; empty: nothing.
    """

    task: DownstreamTask
    split: str
    table: "pa.Table"
    golds: tuple[int | None, ...]
    digests: tuple[str, ...]
    source: dict[str, str]
    note: str

    def rows(self) -> list[dict[str, Any]]:
        """The items as dictionaries."""
        return list(self.table.to_pylist())


def data_folder(named: str) -> Path:
    """The folder of the items: the one that a study names, else where `make eval-data` puts them."""
    return Path(named).expanduser() if named else scratch_folder() / "evaluation-data"


def task_data(task: DownstreamTask, folder: Path) -> TaskData:
    """Read the items of a task: files of the user's own in `folder/NAME/`, else those of the fetched package.

    Raises:
        UserError: there are none, of no split that can be scored, or a file lacks what the harness needs; the line
            says where they can be had.
    """
    raise NotImplementedError
