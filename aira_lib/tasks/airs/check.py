"""Conformance of a task folder: its scripts run, and its scorer tells good submissions from bad ones.

Two kinds of task. A table of predictions (`gold_submission.csv`, custom_labels.py or the test labels give the gold):
gold must beat gold with 20 % and with 100 % of its rows permuted and two random tables, 20 % must not be worse than
100 % or random, and a table that lacks its last row must be refused. Anything else ships folders: `gold_submission`
must beat `gold_submission_random_1` and `_2`, which must differ, and `invalid_submission`, if there, must be refused.
"""

import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random

from aira_lib.errors import UserError
from aira_lib.tasks.airs import scripts
from aira_lib.tasks.airs.folder import TaskFolder, load_task_folder
from aira_lib.tasks.airs.scripts import InvalidSubmission, ScriptFailure
from aira_lib.tasks.airs.submissions import (
    GOLD,
    INVALID,
    RANDOM,
    Table,
    copy_exports,
    drawn,
    gold_table,
    permuted,
    write_csv_submission,
)

Scores = dict[str, float]


@dataclass(frozen=True)
class Finding:
    """One thing that was checked: what, whether it holds, and what was seen."""

    what: str
    holds: bool
    detail: str = ""


def check_task_folder(
    path: str | Path, shared: Path | None = None, seconds: float = scripts.EVALUATE_SECONDS, seed: int = 0,
    environment: Mapping[str, str] | None = None,
) -> Iterator[Finding]:  # fmt: skip
    """Check a task folder, yielding each finding as it is known; after a failing script nothing more is tried.

    Args:
        path: The task folder; nothing is written into it.
        shared: Folder of raw data sets; an empty one by default.
        seconds: Wall time of each script.
        seed: Of the permuted and random submissions.
        environment: Further variables for the scripts.
    """
    try:
        task = load_task_folder(path)
    except UserError as error:
        yield Finding("files and metadata", False, str(error))
        return
    yield Finding("files and metadata", True, f"{task.metric}, {_direction(task)}")
    named = task.path.name == task.name
    yield Finding("folder name equals logging_info.name", named, "" if named else f"{task.path.name} != {task.name}")
    with tempfile.TemporaryDirectory(prefix="aira-check-") as scratch:
        trial = _Trial(task, shared, Path(scratch), seconds, environment)
        try:
            yield from _checks(trial, Random(seed))
        except (ScriptFailure, UserError) as failure:
            yield Finding("runs to its end", False, str(failure))


def _direction(task: TaskFolder) -> str:
    return "lower is better" if task.metadata.metric_lower_is_better else "higher is better"


class _Trial:
    """Scores submissions of one task, each in fresh data and log folders."""

    def __init__(
        self,
        task: TaskFolder,
        shared: Path | None,
        scratch: Path,
        seconds: float,
        environment: Mapping[str, str] | None,
    ) -> None:
        self.task, self.scratch, self.seconds, self.environment = task, scratch, seconds, environment
        self.shared = shared or self.folder("shared")
        self.mount, self.log = self.folder("data"), self.folder("log")

    def folder(self, name: str) -> Path:
        made = self.scratch / name
        made.mkdir()
        return made

    def prepare(self) -> None:
        scripts.prepare(self.task, self.shared, self.mount, self.log, self.seconds, self.environment)

    def score(self, submit: Callable[[Path], None]) -> float:
        with tempfile.TemporaryDirectory(dir=self.scratch) as log:
            submit(Path(log))
            return scripts.evaluate(self.task, self.shared, self.mount, Path(log), self.seconds, self.environment)


def _checks(trial: _Trial, rng: Random) -> Iterator[Finding]:
    table_kind = not (trial.task.path / GOLD).is_dir()
    trial.prepare()
    wanted = ("train", "test") if table_kind else ("train",)
    empty = [name for name in wanted if not any((trial.mount / name).glob("*"))]
    yield Finding(f"prepare.py writes {' and '.join(wanted)}", not empty, f"empty: {', '.join(empty)}" if empty else "")
    leaked = (trial.mount / "test_with_labels").exists()
    yield Finding("prepare.py keeps the test labels back", not leaked, "it wrote test_with_labels" if leaked else "")
    yield from _table_checks(trial, rng) if table_kind else _folder_checks(trial)


def _table_checks(trial: _Trial, rng: Random) -> Iterator[Finding]:
    gold = _gold(trial)
    shape = trial.task.metadata.logging_info.shape
    if shape:
        fits = len(gold.rows) == shape[0]
        yield Finding("gold has the rows of logging_info.shape", fits, f"{len(gold.rows)} rows, shape {shape}")
    tables = {
        "gold": gold,
        "20 % permuted": permuted(gold, 0.2, rng),
        "100 % permuted": permuted(gold, 1.0, rng),
        "random 1": drawn(gold, rng),
        "random 2": drawn(gold, rng),
    }
    scores: Scores = {}
    for name, table in tables.items():
        scores[name] = trial.score(lambda log, table=table: write_csv_submission(table, log))  # type: ignore[misc]
    yield from _ordered(trial.task, scores, "gold")
    slightly = scores["20 % permuted"]
    worse = [name for name in ("100 % permuted", "random 1", "random 2") if trial.task.better(scores[name], slightly)]
    yield Finding("20 % permuted is not worse than the rest", not worse, _told(scores, worse, "20 % permuted"))
    yield _refused(trial, "a table without its last row", lambda log: write_csv_submission(_cut(gold), log))


def _gold(trial: _Trial) -> Table:
    """The gold; where only the test labels give it, they are prepared with a placeholder for a submission."""
    (trial.log / "submission.csv").write_text("placeholder\n0\n")
    scripts.add_labels(trial.task, trial.shared, trial.mount, trial.log, trial.seconds, trial.environment)
    return gold_table(trial.task, trial.shared, trial.mount, trial.folder("gold"), trial.seconds)


def _cut(gold: Table) -> Table:
    return gold.with_rows(gold.rows[:-1])


def _folder_checks(trial: _Trial) -> Iterator[Finding]:
    missing = [name for name in RANDOM if not (trial.task.path / name).is_dir()]
    if missing:
        yield Finding("reference submissions", False, f"no folder {missing[0]}")
        return
    scores: Scores = {}
    for name in (GOLD, *RANDOM):
        scores[name] = trial.score(_from_folder(trial, name))
    yield from _ordered(trial.task, scores, GOLD)
    if (trial.task.path / INVALID).is_dir():
        yield _refused(trial, INVALID, _from_folder(trial, INVALID))


def _from_folder(trial: _Trial, name: str) -> Callable[[Path], None]:
    return lambda log: copy_exports(trial.task, trial.task.path / name, log)


def _ordered(task: TaskFolder, scores: Scores, gold: str) -> Iterator[Finding]:
    """The gold beats all others, and the scores of two random submissions differ."""
    unbeaten = [name for name in scores if name != gold and not task.better(scores[gold], scores[name])]
    yield Finding("gold beats every other submission", not unbeaten, _told(scores, unbeaten, gold))
    others = [score for name, score in scores.items() if name != gold]
    yield Finding(
        "the metric depends on the submission", len(set(others)) > 1, "" if len(set(others)) > 1 else _told(scores)
    )


def _told(scores: Scores, guilty: list[str] | None = None, against: str = "") -> str:
    told = {name: scores[name] for name in (against, *guilty)} if guilty else scores
    return ", ".join(f"{name} {score:.6g}" for name, score in told.items())


def _refused(trial: _Trial, what: str, submit: Callable[[Path], None]) -> Finding:
    """An invalid submission ends evaluate.py with exit code 2 and a reason."""
    try:
        score = trial.score(submit)
    except InvalidSubmission as refusal:
        return Finding(f"{what} is refused", True, refusal.reason)
    except ScriptFailure as failure:
        return Finding(f"{what} is refused", False, f"evaluate.py must end with exit code 2 and say why; {failure}")
    return Finding(f"{what} is refused", False, f"it was scored {score:.6g}")
