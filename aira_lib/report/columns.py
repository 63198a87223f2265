"""A table as data: columns that know their unit and how to write a value; one CSV, HTML and Markdown form."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from aira_lib.report.strips import Strip

Cell = str | int | float | bool | Strip | None
Row = dict[str, Cell]

MISSING = "–"


@dataclass(frozen=True)
class Column:
    """One column. A CSV carries raw values under `key`; a page shows value / `per`, formatted, in `unit`.

    Attributes:
        key: name of the value in a row and in the CSV; says the raw unit where there is one.
        title: heading on the page.
        unit: unit of what the page shows; empty for text and pure names.
        spec: format specification of a number.
        per: divisor before formatting, 1e6 for a unit of millions.
        spread: key of a standard deviation or a margin, shown as ``mean ± sd``; never with a sign.
        style: how the cell is set; a name never breaks, text does.
        shown: False keeps a column to the CSV.
    """

    key: str
    title: str
    unit: str = ""
    spec: str = ""
    per: float = 1.0
    spread: str = ""
    style: Literal["number", "name", "text", "code", "strip"] = "number"
    shown: bool = True

    def text(self, row: Row) -> str:
        """The cell as a person reads it."""
        value = row.get(self.key)
        if value is None:
            return MISSING
        if isinstance(value, bool):
            return "yes" if value else "no"
        if isinstance(value, int | float):
            return self._number(value, row)
        return str(value)

    def _number(self, value: float, row: Row) -> str:
        shown = format_number(value / self.per if self.per != 1 else value, self.spec)
        deviation = row.get(self.spread) if self.spread else None
        if isinstance(deviation, int | float):
            shown += f" ± {format_number(deviation / self.per, self.spec.lstrip('+'))}"
        return shown


@dataclass(frozen=True)
class Table:
    """Rows under columns. `empty` is the sentence that stands in the place of a table without rows.

    `group` names the key whose change starts a new block of rows; `marked` the key that highlights a row.
    """

    name: str
    caption: str
    columns: Sequence[Column]
    rows: Sequence[Row]
    empty: str = "Nothing to show."
    group: str = ""
    marked: str = ""

    def shown(self) -> list[Column]:
        """The columns that a page shows."""
        return [column for column in self.columns if column.shown]

    def starts_group(self, index: int) -> bool:
        """Whether a row opens a new block."""
        rows = self.rows
        return bool(self.group) and index > 0 and rows[index].get(self.group) != rows[index - 1].get(self.group)

    def plain(self) -> list[dict[str, Any]]:
        """The rows as plain data for JSON: raw values under the keys of the CSV."""
        return [{key: _plain(row.get(key)) for key in self._keys()} for row in self.rows]

    def _keys(self) -> list[str]:
        return [key for column in self.columns for key in (column.key, column.spread) if key]

    def csv(self) -> str:
        """The table as CSV: raw values, a column for every key, standard deviations included."""
        keys = self._keys()
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(keys)
        writer.writerows([_raw(row.get(key)) for key in keys] for row in self.rows)
        return out.getvalue()


def _plain(value: Cell) -> Any:
    return list(value.layers) if isinstance(value, Strip) else value


def _raw(value: Cell) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return repr(value)
    return "" if value is None else str(value)


def format_number(value: float, spec: str = "") -> str:
    """A number with a true minus sign; spec "x" writes 2.5×10¹⁴."""
    if spec == "x":
        return scientific(value)
    return format(value, spec or ("," if isinstance(value, int) else ".4g")).replace("-", "−")


_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def scientific(value: float, digits: int = 2) -> str:
    """Write a positive number as 2.5×10¹⁴, without trailing zeros; zero as 0."""
    if value == 0:
        return "0"
    mantissa, exponent = f"{value:.{digits}e}".split("e")
    mantissa = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
    power = f"10{str(int(exponent)).translate(_SUPERSCRIPT)}"
    return power if mantissa == "1" else f"{mantissa}×{power}"


PREFIXES = ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def prefix(values: Sequence[float], giga: str = "G") -> tuple[float, str]:
    """The divisor and SI prefix at which the smallest positive value still reads as at least 0.1."""
    smallest = min((value for value in values if value > 0), default=1.0)
    factor, letter = next(((f, p) for f, p in PREFIXES if smallest >= f * 0.1), (1.0, ""))
    return factor, giga if letter == "G" else letter


def si(value: float, unit: str = "", giga: str = "G") -> str:
    """A number to three digits with an SI prefix: 2.1 M."""
    factor, letter = next(((f, p) for f, p in PREFIXES if abs(value) >= f), (1.0, ""))
    return f"{value / factor:.3g} {giga if letter == 'G' else letter}{unit}".rstrip()
