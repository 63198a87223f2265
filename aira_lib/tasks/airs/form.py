"""The form of a submission.csv, learnt from a perfect one: what is far from it is refused before a scorer reads it.

Scorers are the task author's and were written for honest submissions. Some take hours over a header of many columns;
some leave out of their mean whatever is not a number, so that a missing prediction scores better than a wrong one.
What is checked here takes time in proportion to the file. Whatever else is wrong, the scorer itself refuses.
"""

import csv
import io
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace

from aira_lib.tasks.airs.numbers_in import gaps, gaps_allowed
from aira_lib.tasks.airs.submissions import Table

_TIMES, _SPARE_COLUMNS, _SPARE_ROWS = 4, 16, 1_000
_TIMES_BYTES, _SPARE_BYTES = 64, 2**20  # texts and rankings may be longer than perfect ones

Gaps = tuple[int, ...] | None
"""Of a column: which of its numbers are missing in a perfect submission, for each row as the bits of a number."""


@dataclass(frozen=True)
class Form:
    """What a submission of a task looks like.

    Attributes:
        rows: How many there are.
        columns: Their names; empty where they are not known.
        gaps: Of each column that holds numbers or lists of them and nothing else; no rows where none is missing. None
            for others.
        row_bytes: Mean length of a row; None where it is not known.
    """

    rows: int
    columns: tuple[str, ...] = ()
    gaps: tuple[Gaps, ...] = ()
    row_bytes: float | None = None

    def of_rows(self, rows: int) -> "Form":
        """The form of a submission of other rows: which of their numbers are missing is not known."""
        return replace(self, rows=rows, gaps=tuple(None if each else each for each in self.gaps))

    @property
    def most_columns(self) -> int:
        """More than that are no honest mistake."""
        return _TIMES * max(1, len(self.columns)) + _SPARE_COLUMNS

    @property
    def most_rows(self) -> int:
        """More than that are no honest mistake."""
        return _TIMES * self.rows + _SPARE_ROWS

    @property
    def most_bytes(self) -> float:
        """More than that are no honest mistake; infinity where the length of a row is not known."""
        return math.inf if self.row_bytes is None else _TIMES_BYTES * self.row_bytes * self.rows + _SPARE_BYTES


def form_of(gold: Table) -> Form:
    """The form of a perfect submission."""
    allowed = tuple(_gaps_of([row[place] for row in gold.rows]) for place in range(len(gold.header)))
    size = sum(len(text.encode()) + 1 for row in gold.rows for text in row)
    return Form(len(gold.rows), tuple(gold.header), allowed, size / len(gold.rows))


def _gaps_of(cells: Sequence[str]) -> Gaps:
    found = []
    for cell in cells:
        if (bits := gaps_allowed(cell)) is None:
            return None
        found.append(bits)
    return tuple(found) if any(found) else ()


def misfit(content: bytes, form: Form) -> str:
    """What about a submission is so far from its form that no scorer should read it; empty where nothing is.

    Args:
        content: The file.
        form: Of what was asked for.
    """
    if len(content) > form.most_bytes:
        return f"it has {len(content):,} bytes, where {form.rows:,} rows are asked for"
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    lines = csv.reader(io.StringIO(content.decode("utf-8-sig", "replace"), newline=""))
    try:
        header = next((row for row in lines if row), [])
        if len(header) > form.most_columns:
            return f"it has {len(header):,} columns, where {_asked(form)} asked for"
        known, others = _allowed(header, form)
        for count, row in enumerate(filter(None, lines)):
            if len(row) > form.most_columns:
                return f"line {lines.line_num}: {len(row):,} values, where {_asked(form)} asked for"
            for place, text in enumerate(row):
                if (allowed := known.get(place, others)) is not None and not _fits(text, allowed, count):
                    return f"line {lines.line_num}: {text[:40]!r} lacks a finite number that is asked for"
            if count >= form.most_rows:
                return f"it has over {form.most_rows:,} rows, where {form.rows:,} are asked for"
    except csv.Error as error:
        return f"it is not a CSV file ({error})"
    return ""


def _asked(form: Form) -> str:
    count = len(form.columns) or 1
    return f"{count} {'column is' if count == 1 else 'columns are'}"


def _allowed(header: Sequence[str], form: Form) -> tuple[dict[int, Gaps], Gaps]:
    """Which gaps the values in each place of a row may have, and those in places of no known column; None: any.

    Columns are known by name, else, as scorers often go by place, by place. Where all columns hold numbers, those that
    nobody asked for may have no gaps either: which of them a scorer takes, it alone knows.
    """
    others: Gaps = () if form.gaps and None not in form.gaps else None
    if all(name in header for name in form.columns):
        return {header.index(name): allowed for name, allowed in zip(form.columns, form.gaps, strict=True)}, others
    return (dict(enumerate(form.gaps)) if len(header) == len(form.columns) else {}), others


def _fits(text: str, allowed: tuple[int, ...], row: int) -> bool:
    """Whether no number is missing but where a perfect submission has none; texts are for the scorer to judge."""
    bits = allowed[row] if row < len(allowed) else 0
    return not any(missing and not bits >> place & 1 for place, missing in enumerate(gaps(text)))
