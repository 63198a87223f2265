"""The tables that ship with this package: ``data/*.csv``, described in ``data/README.md``."""

import csv
from functools import cache
from pathlib import Path

DATA = Path(__file__).parent / "data"


@cache
def read_table(name: str) -> tuple[dict[str, str], ...]:
    """The rows of ``data/<name>.csv`` by column; lines that start with "#" tell the source and are no rows.

    The rows are shared between callers: read them, do not change them.
    """
    with open(DATA / f"{name}.csv", encoding="utf-8", newline="") as file:
        return tuple(csv.DictReader(line for line in file if not line.startswith("#")))
