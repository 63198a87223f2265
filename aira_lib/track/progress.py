"""How far the units of a study are, as small files in one folder: stages write them, a launcher shows them.

Progress is a courtesy: nothing depends on it, and a disk that refuses it does not stop the work.
"""

import json
import os
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

SECONDS_BETWEEN_WRITES = 0.2
ENDED = ("done", "reused", "failed")


@dataclass(frozen=True)
class Progress:
    """How far a unit is. `done` of `total` are in the stage's own measure; times are seconds since the epoch.

    `status` is running, done, reused (the record was there already) or failed; `mendable` says of a failure that it
    is the user's to mend and that `error` is the line that says how.
    """

    stage: str
    unit: str
    done: float = 0.0
    total: float = 0.0
    note: str = ""
    started: float = 0.0
    updated: float = 0.0
    status: str = "running"
    error: str = ""
    mendable: bool = False


class ProgressFile:
    """Writes the progress of one unit, at most every 0.2 s while it runs, and always at its end."""

    def __init__(self, folder: Path | None, stage: str, unit: str) -> None:
        """Begin a unit.

        Args:
            folder: where progress files are (AIRA_PROGRESS); None writes nothing.
            stage: the stage's name.
            unit: the unit's name within the stage.
        """
        self._path = folder / f"{stage}.{quote(unit, safe='')}.json" if folder else None
        self._progress = Progress(stage, unit, started=time.time())
        self._written = 0.0
        self._write()

    @property
    def note(self) -> str:
        """What was said of the unit last."""
        return self._progress.note

    def update(self, done: float, total: float, note: str) -> None:
        """Say how far the unit is; has the shape of `Work.progress`."""
        self._progress = replace(self._progress, done=done, total=total, note=note)
        if time.monotonic() - self._written >= SECONDS_BETWEEN_WRITES:
            self._write()

    def finish(self, status: str = "done") -> None:
        """Say that the unit ended well: done, or reused."""
        self._progress = replace(self._progress, status=status)
        self._write()

    def fail(self, error: str, mendable: bool = False) -> None:
        """Say that the unit failed, and whether the user can mend it."""
        self._progress = replace(self._progress, status="failed", error=error, mendable=mendable)
        self._write()

    def _write(self) -> None:
        if self._path is None:
            return
        self._written = time.monotonic()
        self._progress = replace(self._progress, updated=time.time())
        temporary = self._path.with_name(f".{self._path.name}.tmp")
        with suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_text(json.dumps(asdict(self._progress)), encoding="utf-8")
            os.replace(temporary, self._path)


def read_progress(folder: Path) -> list[Progress]:
    """Read the progress of all units in a folder, in the order in which they began."""
    found = (_read(path) for path in folder.glob("[!.]*.json"))
    return sorted((each for each in found if each), key=lambda each: (each.started, each.stage, each.unit))


def _read(path: Path) -> Progress | None:
    try:
        fields: dict[str, Any] = json.loads(path.read_bytes())
        return Progress(**fields)
    except (OSError, ValueError, TypeError):
        return None
