"""What the scripts of this task share: its raw data, reading and writing tables, the command line."""

import argparse
import csv
import random
import sys
from pathlib import Path

Row = dict[str, str]


def raw_data(shared: Path, split: str) -> list[Row]:
    """The labelled rows of a split. Replace this by reading your data set from the shared folder."""
    rng = random.Random(f"example {split}")
    texts = [f"{rng.randrange(256):08b}" for _ in range({"train": 400, "test": 200}[split])]
    return [{"bits": bits, "parity": str(bits.count("1") % 2)} for bits in texts]


def write_table(rows: list[Row], columns: list[str], path: Path) -> None:
    """Write some columns of the rows as CSV, making the folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)


def read_column(path: Path, column: str) -> list[str]:
    """Read one column of a CSV file.

    Raises:
        ValueError: the file has no such column, or a row lacks it.
    """
    with path.open(newline="", encoding="utf-8") as file:
        values = [row.get(column) for row in csv.DictReader(file)]
    if not values or None in values:
        raise ValueError(f"{path.name} must have the column {column!r} and a value in every row")
    return [str(value) for value in values]


def data_folders() -> argparse.Namespace:
    """The command line of prepare.py and evaluate_prepare.py."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--global-shared-data-dir", type=Path, required=True)
    parser.add_argument("--agent-data-mount-dir", type=Path, required=True)
    parser.add_argument("--agent-log-dir", type=Path)
    given = parser.parse_args()
    for folder in vars(given).values():
        if folder is not None and not folder.is_dir():
            sys.exit(f"no such folder: {folder}")
    return given
