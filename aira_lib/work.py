"""What a stage is handed to work with: a folder, a way to say how far it is, and a log of what it measured."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from aira_lib.records import FileEntry, StandIn


class MetricLog(Protocol):
    """Where a stage writes what it chose and measured; `aira_lib.track` carries it to MLflow."""

    def params(self, values: dict[str, object]) -> None:
        """Log what was chosen: flat names, written once a run."""

    def metrics(self, values: dict[str, float], step: int) -> None:
        """Log what was measured at a step."""

    def tags(self, values: dict[str, str]) -> None:
        """Log what the run is."""

    def artifact(self, path: Path) -> None:
        """Attach a file of the record."""


@dataclass
class Work:
    """A stage's workplace. Files in `path` survive an interruption once they are pushed; the record is all of them."""

    path: Path
    log: MetricLog
    push: Callable[[str], None] = lambda name: None
    progress: Callable[[float, float, str], None] = lambda done, total, note: None
    threads: int = 1
    stand_ins: list[StandIn] = field(default_factory=list)
    evaluations: str | None = None
    """URI of the store of evaluations (see `aira_lib.evaluations`); None: there is none."""

    shared: str | None = None
    """URI of a folder of the store in which other machines may write for the record; None: there is none."""

    adopt: Callable[[FileEntry], None] = lambda entry: None
    """Has a file of that folder in the record without a copy in `path`."""

    study: str = ""
    """Name of the study, for whoever looks at what runs; no result depends on it."""

    def stand_in(self, what: str, instead_of: str, detail: str = "") -> None:
        """Say that a stand-in touched this record."""
        entry = StandIn(what=what, instead_of=instead_of, detail=detail)
        if entry not in self.stand_ins:
            self.stand_ins.append(entry)
