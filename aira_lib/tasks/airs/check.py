"""Conformance of a task folder: its scripts run, and its scorer tells good submissions from bad ones.

Two kinds of task. A table of predictions (`gold_submission.csv`, custom_labels.py or the test labels give the gold):
gold must beat gold with 20 % and with 100 % of its rows permuted and two random tables, 20 % must not be worse than
100 % or random, and a table that lacks its last row must be refused. A gold whose header the scorer refuses is tried on
under those that the description shows, as in a search. Anything else ships folders: `gold_submission` must beat
`gold_submission_random_1` and `_2`, which must differ, and `invalid_submission`, if there, must be refused.
All goes the way that it goes in a search, and last it is said where a search would get its validation fitness from.
"""

import tempfile
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from aira_lib.errors import UserError
from aira_lib.foreign import in_a_line
from aira_lib.tasks.airs import scripts
from aira_lib.tasks.airs.bounds import beyond_optimum
from aira_lib.tasks.airs.folder import RUNS_BESIDE_LABELS, TaskFolder, load_task_folder
from aira_lib.tasks.airs.opening import under_other_headers
from aira_lib.tasks.airs.scripts import InvalidSubmission, ScriptFailure
from aira_lib.tasks.airs.submissions import (
    GOLD,
    INVALID,
    RANDOM,
    Table,
    copy_exports,
    drawn,
    permuted,
    write_csv_submission,
)
from aira_lib.tasks.airs.trial import Trial, trial_of

Scores = dict[str, float]
_HEADER = "gold has the header that the task wants"


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
    if task.exports_code:
        yield Finding("submitted code does not run beside the labels", False, RUNS_BESIDE_LABELS)
    with tempfile.TemporaryDirectory(prefix="aira-check-") as scratch:
        trial = trial_of(task, shared, Path(scratch), seconds, environment)
        try:
            yield from _checks(trial, Random(seed))
        except (ScriptFailure, UserError) as failure:
            yield Finding("runs to its end", False, str(failure))


def _direction(task: TaskFolder) -> str:
    return "lower is better" if task.metadata.metric_lower_is_better else "higher is better"


def _checks(trial: Trial, rng: Random) -> Iterator[Finding]:
    table_kind = not (trial.task.path / GOLD).is_dir()
    trial.prepare()
    wanted = ("train", "test") if table_kind else ("train",)
    empty = [name for name in wanted if not any((trial.prepared / name).glob("*"))]
    yield Finding(f"prepare.py writes {' and '.join(wanted)}", not empty, f"empty: {', '.join(empty)}" if empty else "")
    leaked = (trial.prepared / "test_with_labels").exists()
    yield Finding("prepare.py keeps the test labels back", not leaked, "it wrote test_with_labels" if leaked else "")
    if leaked:
        return
    gold = yield from _table_checks(trial, rng) if table_kind else _folder_checks(trial)
    if not empty and (said := trial.searched(gold)):
        yield Finding("can be searched", True, said)


def _table_checks(trial: Trial, rng: Random) -> Generator[Finding, None, Table]:
    gold = trial.gold()
    shape = trial.task.metadata.logging_info.shape
    if shape:
        fits = len(gold.rows) == shape[0]
        yield Finding("gold has the rows of logging_info.shape", fits, f"{len(gold.rows)} rows, shape {shape}")
    gold, score = yield from _taken(trial, gold)
    tables = {
        "20 % permuted": permuted(gold, 0.2, rng),
        "100 % permuted": permuted(gold, 1.0, rng),
        "random 1": drawn(gold, rng),
        "random 2": drawn(gold, rng),
    }
    scores: Scores = {"gold": score}
    for name, table in tables.items():
        scores[name] = trial.score(lambda log, table=table: write_csv_submission(table, log))  # type: ignore[misc]
    yield from _ordered(trial.task, scores, "gold")
    beyond = beyond_optimum(scores["gold"], trial.task.metadata)
    yield Finding("gold is scored within logging_info.optimal_score", not beyond, beyond)
    slightly = scores["20 % permuted"]
    worse = [name for name in ("100 % permuted", "random 1", "random 2") if trial.task.better(scores[name], slightly)]
    yield Finding("20 % permuted is not worse than the rest", not worse, _told(scores, worse, "20 % permuted"))
    yield _refused(trial, "a table without its last row", lambda log: write_csv_submission(_cut(gold), log))
    return gold


def _taken(trial: Trial, gold: Table) -> Generator[Finding, None, tuple[Table, float]]:
    """Gold under the first header that the scorer takes, and its score; where the description shows another, a line.

    Raises:
        InvalidSubmission: the scorer takes gold under no header that is to be had.
    """
    first: InvalidSubmission | None = None
    tables = list(under_other_headers(gold, trial.task.description))
    for table in tables:
        try:
            score = trial.score(lambda log, table=table: write_csv_submission(table, log))  # type: ignore[misc]
        except InvalidSubmission as refusal:
            first = first or refusal
            continue
        if first:
            said = f"gold has {_shown(gold)}, its scorer takes {_shown(table)} and not the former ({first.reason})"
            yield Finding(_HEADER, False, said)
        elif len(tables) > 1 and len(gold.header) > 1:  # a line of one word is not to be told from a header
            yield Finding(_HEADER, True, f"gold has {_shown(gold)}, which its scorer takes; {_described(tables[1:])}")
        return table, score
    assert first
    raise first


def _described(tables: Sequence[Table]) -> str:
    return f"the description shows {' and '.join(map(_shown, tables))}"


def _shown(table: Table) -> str:
    return repr(in_a_line(",".join(table.header), 100))


def _cut(gold: Table) -> Table:
    return gold.with_rows(gold.rows[:-1])


def _folder_checks(trial: Trial) -> Generator[Finding, None, None]:
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


def _from_folder(trial: Trial, name: str) -> Callable[[Path], None]:
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


def _refused(trial: Trial, what: str, submit: Callable[[Path], None]) -> Finding:
    """An invalid submission ends evaluate.py with exit code 2 and a reason."""
    try:
        score = trial.score(submit)
    except InvalidSubmission as refusal:
        return Finding(f"{what} is refused", True, refusal.reason)
    except ScriptFailure as failure:
        return Finding(f"{what} is refused", False, f"evaluate.py must end with exit code 2 and say why; {failure}")
    return Finding(f"{what} is refused", False, f"it was scored {score:.6g}")
