"""How `aira tasks check` and `aira tasks score` run a task folder: as a search does, or, if it is built in, by itself.

The scripts of built-in tasks train designs with this package, which no sandbox shows; searches score such designs
without them.
"""

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from aira_lib.study import TaskSection
from aira_lib.tasks.airs import scripts
from aira_lib.tasks.airs.folder import BUILT_IN, TaskFolder
from aira_lib.tasks.airs.held_out import LABELS
from aira_lib.tasks.airs.metadata import SUBMISSION_CSV
from aira_lib.tasks.airs.opening import (
    Gold,
    gold_of,
    labels_of,
    measured,
    own_gold_of,
    prepared,
    rows_held_out,
)
from aira_lib.tasks.airs.scoring import Scorer
from aira_lib.tasks.airs.submissions import Table, gold_of_labels, own_gold

Submit = Callable[[Path], None]
"""Writes a submission into the folder that it is given."""


class Trial(Protocol):
    """Scores submissions of one task, each in folders of its own, after `prepare`; `prepared` is what that wrote."""

    task: TaskFolder
    prepared: Path

    def prepare(self) -> None:
        """Run prepare.py.

        Raises:
            ScriptFailure: it failed.
        """

    def gold(self) -> Table:
        """The gold submission.

        Raises:
            ScriptFailure: a script failed.
            TaskFolderError: there is none.
        """

    def measure(self) -> None:
        """Bound the scoring by what a perfect submission takes and looks like, where one is to be had.

        Raises:
            UserError: the scorer breaks on it.
        """

    def score(self, submit: Submit) -> float:
        """Score a submission.

        Raises:
            InvalidSubmission: it was refused.
            ScriptFailure: a script failed.
        """

    def searched(self, gold: Table | None) -> str:
        """How a search of the task would get its validation fitness; empty where it does not depend on the folder.

        Args:
            gold: The gold submission as the scorer takes it; None where submissions are no tables.

        Raises:
            UserError: it cannot be searched.
        """


def trial_of(
    task: TaskFolder, shared: Path | None, scratch: Path, seconds: float, environment: Mapping[str, str] | None = None
) -> Trial:
    """The trial that fits a task.

    Args:
        task: The task.
        shared: Folder of raw data sets; an empty one by default.
        scratch: An empty folder that lives as long as the trial.
        seconds: Wall time of each script.
        environment: Further variables for the scripts of a built-in task.
    """
    if task.path.parent == BUILT_IN:
        return _BuiltIn(task, shared, scratch, seconds, environment)
    return _AsSearched(task, shared, scratch, seconds)


class _AsSearched:
    def __init__(self, task: TaskFolder, shared: Path | None, scratch: Path, seconds: float) -> None:
        self.task, self._shared, self._scratch, self._seconds = task, shared, scratch, seconds
        self.prepared = scratch / "task" / "prepared"
        self._scorer: Scorer

    def prepare(self) -> None:
        scorer = prepared(self.task, self._scratch / "task", self._shared, self._seconds)
        self._scorer = replace(scorer, seconds=self._seconds)

    def gold(self) -> Table:
        if own := own_gold_of(self._scorer, self._seconds):
            return own
        with tempfile.TemporaryDirectory(dir=self._scratch) as place:
            labels = Path(place) / LABELS
            self._scorer.labels({SUBMISSION_CSV: b"placeholder\n0\n"}, labels)
            return gold_of_labels(self.task.metadata.logging_info.scoring_column, labels)

    def measure(self) -> None:
        with labels_of(self._scorer) as labels:
            if not isinstance(labels, str):
                bounded, _ = measured(self._scorer, gold_of(self._scorer, labels))
                self._scorer = replace(bounded, seconds=min(bounded.seconds, self._seconds))

    def score(self, submit: Submit) -> float:
        with tempfile.TemporaryDirectory(dir=self._scratch) as place:
            log = Path(place)
            submit(log)
            files = [path for path in log.rglob("*") if path.is_file()]
            return self._scorer.test({path.relative_to(log).as_posix(): path.read_bytes() for path in files})

    def searched(self, gold: Table | None) -> str:
        section = TaskSection(folder=str(self.task.path))
        with labels_of(self._scorer) as labels:
            if isinstance(labels, str):
                return f"validation is self-reported, since {labels}"
            rows, why_not = rows_held_out(self._scorer, section, labels, Gold(gold, True) if gold else None)
        return f"validation on {rows.rows:,} held-out rows" if rows else f"validation is self-reported, since {why_not}"


class _BuiltIn:
    def __init__(
        self, task: TaskFolder, shared: Path | None, scratch: Path, seconds: float,
        environment: Mapping[str, str] | None,
    ) -> None:  # fmt: skip
        self.task, self._scratch, self._seconds, self._environment = task, scratch, seconds, environment
        self._shared = shared or self._folder("shared")
        self.prepared, self._log = self._folder("data"), self._folder("log")

    def _folder(self, name: str) -> Path:
        made = self._scratch / name
        made.mkdir()
        return made

    def prepare(self) -> None:
        scripts.prepare(self.task, self._shared, self.prepared, self._log, self._seconds, self._environment)

    def gold(self) -> Table:
        (self._log / SUBMISSION_CSV).write_text("placeholder\n0\n")
        scripts.add_labels(self.task, self._shared, self.prepared, self._log, self._seconds, self._environment)
        own = own_gold(self.task, self._shared, self._folder("gold"), self._seconds)
        labels = self.prepared / LABELS
        return own or gold_of_labels(self.task.metadata.logging_info.scoring_column, labels)

    def measure(self) -> None:
        return None

    def score(self, submit: Submit) -> float:
        with tempfile.TemporaryDirectory(dir=self._scratch) as log:
            submit(Path(log))
            return scripts.evaluate(self.task, self._shared, self.prepared, Path(log), self._seconds, self._environment)

    def searched(self, gold: Table | None) -> str:
        return ""
