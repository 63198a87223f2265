"""What `aira features` does: read, count, print, write."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.table import Table as Printed
from rich.text import Text

from aira_lib.autoresearch.features.counting import chance_of
from aira_lib.autoresearch.features.events import Event, attempts, improvements
from aira_lib.console import result_console
from aira_lib.edits import tables
from aira_lib.edits.reading import Asked, read_asked
from aira_lib.errors import MissingDependency, writing
from aira_lib.report.columns import Row, Table
from aira_lib.settings import Settings

PAGE, NUMBERS = "features.html", "features.json"


def features_command(
    paths: Sequence[str], origin: tuple[str, float] | None, as_json: bool, to: Path | None, settings: Settings
) -> None:
    """Print the features of scripts and the counts over searches; with a folder, write tables, figure and page.

    Raises:
        UserError: one line; nothing was written.
    """
    asked = read_asked(paths, origin, settings)
    found = tables_of(asked)
    said = sentences_of(asked)
    numbers = {"remarks": said, **{table.name: table.plain() for table in found}}
    console = result_console()
    if to is not None:
        _write(asked, found, said, numbers, to)
    if as_json:
        console.print(json.dumps(numbers, ensure_ascii=False), highlight=False, markup=False, soft_wrap=True)
    else:
        for table in found:
            if table.rows and table.name != "steps":
                console.print(_printed(table))
        for line in said:
            console.print(line, highlight=False, markup=False, soft_wrap=True)
        if to is not None:
            console.print(f"Page: {to / PAGE}", highlight=False, markup=False, soft_wrap=True)


def tables_of(asked: Asked) -> list[Table]:
    """The tables of what was asked about, those of scripts and those of searches."""
    found = [tables.scripts_table(asked.scripts)] if asked.scripts else []
    makers = (
        tables.features_table, tables.toggles_table, tables.categories_table, tables.transitions_table,
        tables.single_table, tables.constants_table, tables.steps_table,
    )  # fmt: skip
    return [*found, *(make(asked.events) for make in makers)] if asked.searches else found


def sentences_of(asked: Asked) -> list[str]:
    """What a reader has to know of the numbers."""
    said = [
        f"{path}: {found.unresolved} of {len(found.features)} features are unresolved."
        for path, found in asked.scripts.items() if found.unresolved
    ]  # fmt: skip
    said += [
        f"study {study}: {missing} of {all_of} searches are not finished, and left out."
        for study, (missing, all_of) in asked.unfinished.items()
    ]  # fmt: skip
    if asked.searches:
        said += _of_searches(asked.events, len(asked.searches))
    return said


def _of_searches(events: Sequence[Event], searches: int) -> list[str]:
    tried, better = attempts(events), improvements(events)
    chance = chance_of(tried)
    blind = sum(not event.changed and event.readable for event in tried)
    unread = sum(event.best is not None and not event.readable for event in events)
    rate = "" if chance is None else f", {100 * chance.value:.0f} %"
    said = [
        f"{_counted(searches, 'search', 'searches')}: {_counted(len(better), 'improvement')} in "
        f"{_counted(len(tried), 'attempt')} that could be compared{rate}."
    ]
    if tried:
        said.append(f"Of these attempts {blind} changed none of the 27 features, as far as they can be compared.")
        share = sum(len(event.unresolved) for event in tried) / (27 * len(tried))
        said.append(f"{100 * share:.0f} % of their features are unresolved.")
    if unread:
        said.append(f"Left out: {_counted(unread, 'attempt')} whose script, or the best one's, cannot be read.")
    return said


def _counted(n: int, one: str, many: str = "") -> str:
    return f"{n} {one if n == 1 else many or f'{one}s'}"


def _printed(table: Table) -> Printed:
    made = Printed(title=table.name, title_justify="left")
    for column in table.shown():
        unit = f" ({column.unit})" if column.unit else ""
        made.add_column(f"{column.title}{unit}", justify="right" if column.style == "number" else "left")
    for row in table.rows:
        made.add_row(*(Text(column.text(row)) for column in table.shown()))
    return made


# --- files ------------------------------------------------------------------------------------------------------------


def _write(asked: Asked, found: Sequence[Table], said: Sequence[str], numbers: dict[str, Any], to: Path) -> None:
    try:
        from aira_lib.edits.figures import MOST, progress_figure
        from aira_lib.report.blocks import FigureBlock, Section, TableBlock
        from aira_lib.report.page import own_page
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] in ("matplotlib", "jinja2", "markupsafe"):
            raise MissingDependency("the page of features", "report") from None
        raise
    figure = progress_figure(asked.events)
    caption = (
        "Every search's scored steps (dots), and the best so far (line), as in the paper's Figure 28. A triangle is a "
        "step far worse than the rest, beyond the top."
    )
    if len(asked.searches) > MOST:
        caption += f" The first {MOST} of {len(asked.searches)} searches; steps.csv has all."
    drawn = [Section("progress", "Progress", [FigureBlock(figure, caption, "Nothing was scored.")])]
    shown = [Section(t.name, _title(t), [TableBlock(_short(t), folded=t.name == "steps")]) for t in found]
    page = own_page(
        "AIRA features", "What edits change", [], said, [*(drawn if asked.searches else []), *shown], NUMBERS
    )
    with writing(to):
        to.mkdir(parents=True, exist_ok=True)
        for table in found:
            (to / f"{table.name}.csv").write_text(table.csv(), encoding="utf-8")
        if figure is not None:
            (to / f"{figure.name}.svg").write_text(figure.svg, encoding="utf-8")
        text = json.dumps(numbers, indent=1, ensure_ascii=False, allow_nan=False)
        (to / NUMBERS).write_text(f"{text}\n", encoding="utf-8")
        (to / PAGE).write_text(page, encoding="utf-8")


_TITLES = {
    "table_19": "By feature (Table 19)", "table_20": "On or off (Table 20)", "table_21": "By category (Table 21)",
    "transitions": "Feed-forward layers", "one_change": "One change alone", "constants": "Other constants",
}  # fmt: skip


def _title(table: Table) -> str:
    return _TITLES.get(table.name, table.name.capitalize())


_MOST_ROWS = 500  # of a table on the page; its CSV has all


def _short(table: Table) -> Table:
    if len(table.rows) <= _MOST_ROWS:
        return table
    rows: Sequence[Row] = table.rows[:_MOST_ROWS]
    caption = f"{table.caption} The first {_MOST_ROWS} of {len(table.rows)} rows; {table.name}.csv has all."
    return Table(table.name, caption, table.columns, rows, table.empty, table.group, table.marked)
