"""What `aira rescore` does: every script in turn, found again where it was done before, and the table in the end."""

import csv
import hashlib
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from aira_lib.console import duration
from aira_lib.errors import writing
from aira_lib.identity import package_digest
from aira_lib.records.row import read_row
from aira_lib.rescoring.rescore import Rescored, rescore
from aira_lib.rescoring.running import Runs
from aira_lib.rescoring.scripts import Script, read_scripts
from aira_lib.rescoring.text import Text, digest_of, require_fitting

Say = Callable[[str], None]
TABLE = "rescored.tsv"
_DONE = "done"


def rescore_all(
    source: Path, text: Text, seconds: float, output: Path, limit: int | None, say: Say
) -> tuple[Rescored, ...]:
    """Score scripts again; of those that the folder holds already nothing is run.

    Args:
        source: A script, a journal, or the folder of a search's record.
        text: What scripts are trained and scored on.
        seconds: That each may train.
        output: A folder: a file for each script, and the table of all.
        limit: So many at most, the first ones.
        say: Told how far it is.

    Raises:
        UserError: there is no script, or a folder cannot be written.
    """
    scripts = read_scripts(source)[:limit]
    require_fitting(text)
    with writing(output):
        (output / _DONE).mkdir(parents=True, exist_ok=True)
    found: list[Rescored] = []
    with tempfile.TemporaryDirectory() as scratch:
        runs = Runs(text, Path(scratch).resolve(), seconds)
        ground = digest_of(text.lay(Path(scratch) / "ground", "claim", seconds))
        begun, ran = time.monotonic(), 0
        for number, script in enumerate(scripts):
            place = output / _DONE / f"{_key(script, ground)}.json"
            if not place.exists():
                left = (len(scripts) - number) * (time.monotonic() - begun) / ran if ran else None
                say(_progress(number, scripts, left))
                _write(place, rescore(runs, script))
                ran += 1
            found.append(read_row(place, Rescored).model_copy(update={"name": script.name}))
    _write_table(output / TABLE, found)
    return tuple(found)


def _key(script: Script, ground: str) -> str:
    """Of the script, of what it is run with, and of the code here: what that finds is made again in minutes."""
    parts = (package_digest("rescoring"), package_digest("autoresearch"), ground, script.code)
    return hashlib.sha256("\n".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _progress(done: int, scripts: Sequence[Script], left: float | None) -> str:
    told = f"{done} of {len(scripts)} scripts; {scripts[done].name} runs"
    return told if left is None else f"{told}; about {duration(left)} left"


def _write(place: Path, row: Rescored) -> None:
    """In one piece, so that a file that is there is whole."""
    with writing(place):
        part = place.with_suffix(f".{os.getpid()}")
        part.write_text(row.json_line(), encoding="utf-8")
        part.replace(place)


def _write_table(place: Path, rows: Sequence[Rescored]) -> None:
    with writing(place), place.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, delimiter="\t", lineterminator="\n")
        table.writerow(Rescored.model_fields)
        for row in rows:
            table.writerow(["" if value is None else value for value in row.model_dump(mode="json").values()])


def in_words(row: Rescored) -> list[str]:
    """A few lines on a script for people."""
    if row.reason:
        return [f"{row.name}: {row.reason}"]
    lines = [
        f"{row.name}: claims {_number(row.claimed)}, honest {_number(row.honest)} +- {_number(row.standard_error)} BPB"
        f" (difference {_signed(row.difference)}); on text that it never saw {_number(row.unseen)}",
        f"  its clock {_seconds(row.own_seconds)} of training, ours {_seconds(row.seconds)} from start to end; "
        f"{row.steps if row.steps is not None else 'unknown'} steps, {row.parameters:,} parameters",
    ]
    if row.note:
        lines.append(f"  {row.note}")
    return [*lines, f"  probes: {row.probes or 'passed'}"]


def _number(value: float | None) -> str:
    return "nothing" if value is None else f"{value:.6f}"


def _signed(value: float | None) -> str:
    return "unknown" if value is None else f"{value:+.6f}"


def _seconds(value: float | None) -> str:
    return "says nothing" if value is None else f"{value:.1f} s"
