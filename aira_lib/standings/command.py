"""What `aira scores` does: read, compute, print, write."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table as Printed
from rich.text import Text

from aira_lib.console import Console, result_console
from aira_lib.errors import MissingDependency, UserError, nearest, writing
from aira_lib.report.columns import Table
from aira_lib.scores.runs import worst_valid
from aira_lib.settings import Settings
from aira_lib.standings.anchors import read_anchors
from aira_lib.standings.board import Board, Choices, board_of
from aira_lib.standings.pinned import Pinned, load_pinned, pin
from aira_lib.standings.reading import Records, read_records
from aira_lib.standings.tables import agents_table, normalised_table

if TYPE_CHECKING:
    from aira_lib.report.blocks import Section

PAGE, NUMBERS = "scores.html", "scores.json"


def scores_command(
    studies: Sequence[str],
    pinned_file: Path | None,
    anchors: Sequence[str],
    references: Sequence[str],
    output: Path,
    settings: Settings,
) -> None:
    """Score the searches of studies; print the agents and write page, tables, figures and numbers.

    Args:
        studies: Their files.
        pinned_file: See `aira_lib.standings.pinned`; None: nothing is pinned.
        anchors: See `read_anchors`.
        references: Agents that are references and no contestants.
        output: The folder for what is written; files of an earlier call are replaced.
        settings: Where the records are.

    Raises:
        UserError: one line; nothing was written.
    """
    pinned = load_pinned(pinned_file)
    records = read_records(studies, settings)
    _check_references(references, records)
    named = read_anchors(anchors, list(records.tasks))
    board = board_of(records, pinned, Choices(named, references))
    console = result_console()
    if pinned_file:
        lower = {name: task.lower_is_better for name, task in records.tasks.items()}
        _say(console, pin(pinned_file, pinned, worst_valid(board.runs, lower)))
        board = board_of(records, load_pinned(pinned_file), Choices(named, references))
    for table in (agents_table(board), normalised_table(board)):
        console.print(_printed(table))
    _write(board, records, pinned, output, console)


def _check_references(references: Sequence[str], records: Records) -> None:
    agents = list(records.scaffolds())
    for name in references:
        if name not in agents:
            raise UserError(f"--reference {name}: no finished search is of such an agent{nearest(name, agents)}")
    if set(agents) <= set(references):
        raise UserError("--reference: every agent is a reference, so that nobody is left to score")


def _say(console: Console, lines: Sequence[str]) -> None:
    for line in lines:
        console.print(line, highlight=False, markup=False, soft_wrap=True)


def _printed(table: Table) -> Printed:
    made = Printed(title=table.name, title_justify="left")
    shown = table.shown()
    for column in shown:
        unit = f" ({column.unit})" if column.unit else ""
        made.add_column(f"{column.title}{unit}", justify="right" if column.style == "number" else "left")
    for row in table.rows:
        made.add_row(*(Text(column.text(row)) for column in shown))
    return made


# --- files ------------------------------------------------------------------------------------------------------------


def _write(board: Board, records: Records, pinned: Pinned, output: Path, console: Console) -> None:
    try:
        from aira_lib.standings.content import key_numbers_of, sections_of, sentences_of, tables_of
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] in ("matplotlib", "jinja2", "markupsafe"):
            raise MissingDependency("the page of scores", "report") from None
        raise
    from aira_lib.report.page import own_page

    said, tables = sentences_of(board, records), tables_of(board, records)
    sections = sections_of(board, records, tables)
    _say(console, [line.replace("`", "") for line in said])
    title = pinned.suite or f"Scores on {len(board.tasks)} task{'s' * (len(board.tasks) != 1)}"
    page = own_page("AIRA scores", title, key_numbers_of(board), said, sections, NUMBERS)
    numbers = {"remarks": said, **{table.name: table.plain() for table in tables}}
    with writing(output):
        for folder in (output / "tables", output / "figures"):
            folder.mkdir(parents=True, exist_ok=True)
        for table in tables:
            (output / "tables" / f"{table.name}.csv").write_text(table.csv(), encoding="utf-8")
        _write_figures(sections, output / "figures")
        text = json.dumps(numbers, indent=2, ensure_ascii=False, allow_nan=False)
        (output / NUMBERS).write_text(f"{text}\n", encoding="utf-8")
        (output / PAGE).write_text(page, encoding="utf-8")
    _say(console, [f"Page: {output / PAGE}"])


def _write_figures(sections: "Sequence[Section]", folder: Path) -> None:
    from aira_lib.standings.content import figures_in

    for block in figures_in(sections):
        if block.figure:
            (folder / f"{block.figure.name}.svg").write_text(block.figure.svg, encoding="utf-8")
