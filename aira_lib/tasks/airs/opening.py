"""Open a task folder: the one way of searches, of `aira tasks check` and of `aira tasks score`.

prepare.py runs, evaluate_prepare.py writes the test labels once, and a perfect submission, where one is to be had, goes
through the scorer. What that takes bounds what the scoring of any other submission may take, its form what is read at
all. Then rows are held out if the scorer reads what can be held out (see `aira_lib.tasks.airs.held_out`). All of this
comes before a model is asked.
"""

import re
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import cycle, islice
from pathlib import Path

from aira_lib.errors import UserError
from aira_lib.study import TaskSection
from aira_lib.tasks.airs import scripts
from aira_lib.tasks.airs.bounds import beyond_optimum
from aira_lib.tasks.airs.exports import plain
from aira_lib.tasks.airs.folder import TaskFolder
from aira_lib.tasks.airs.form import Form, form_of
from aira_lib.tasks.airs.held_out import HELD_OUT, LABELS, CannotHoldOut, HeldOutRows, hold_out, read_split
from aira_lib.tasks.airs.metadata import SUBMISSION_CSV, TaskFolderError
from aira_lib.tasks.airs.raw_data import lay_links
from aira_lib.tasks.airs.scoring import Scorer, memory_of_machine
from aira_lib.tasks.airs.scripts import InvalidSubmission, ScriptFailure
from aira_lib.tasks.airs.submissions import Table, own_gold

# A submission that is not perfect may take longer, and the machine may be busier.
_LEAST_SECONDS, _TIMES_SECONDS = 120.0, 30.0
_LEAST_MB, _TIMES_DATA = 8_192, 16  # interpreter and packages; tables as Python's own objects
_HEADER = re.compile(r"[A-Za-z_]\w*(\s*,\s*[A-Za-z_]\w*)*")
_MOST_HEADERS = 4


@dataclass(frozen=True)
class Gold:
    """A perfect submission, as a table; `own` says that it is the task's own, and no guess from its labels."""

    table: Table
    own: bool

    @property
    def exports(self) -> Mapping[str, bytes]:
        """As the files of a submission."""
        return {SUBMISSION_CSV: self.table.text().encode()}


@dataclass(frozen=True)
class OpenFolder:
    """A task folder that is ready to score submissions; `why_not` says why no rows are held out, if none are."""

    scorer: Scorer
    held_out: HeldOutRows | None
    why_not: str


def open_folder(folder: TaskFolder, section: TaskSection, place: Path, shared: Path | None) -> OpenFolder:
    """Do all that is said above.

    Args:
        folder: The task.
        section: Whether and how many rows to hold out.
        place: A folder to make, which lives as long as the scorer.
        shared: The folder of raw data sets; an empty one by default.

    Raises:
        UserError: a script of it fails, or it does not allow what the section wants; one line.
    """
    try:
        scorer = prepared(folder, place, shared)
    except ScriptFailure as failure:
        hint = "" if shared else "; if it needs raw data, set AIRA_TASK_DATA to the folder that holds them"
        raise UserError(f"{folder.path}: {failure}{hint}") from None
    if (scorer.prepared / LABELS).exists():
        raise UserError(f"{folder.path}: prepare.py wrote {LABELS}, which agents would see; see `aira tasks check`")
    with labels_of(scorer) as labels:
        if isinstance(labels, str):
            return OpenFolder(scorer, *_none(folder, section, labels))
        scorer, gold = measured(scorer, gold_of(scorer, labels))
        return OpenFolder(scorer, *rows_held_out(scorer, section, labels, gold))


def prepared(
    folder: TaskFolder, place: Path, shared: Path | None, seconds: float = scripts.PREPARE_SECONDS
) -> Scorer:  # fmt: skip
    """Run prepare.py in a new folder; the scorer of what it wrote. Raw data are only read, whatever it writes to them.

    Raises:
        ScriptFailure: it failed.
    """
    for name in ("none", "prepared", "log", "work"):
        (place / name).mkdir(parents=True)
    raw = shared.resolve() if shared else place / "none"
    with raw_for_scripts(raw, place) as seen:
        scripts.prepare(folder, seen, place / "prepared", place / "log", seconds)
    return Scorer(folder, raw, place / "prepared", place / "work")


@contextmanager
def raw_for_scripts(raw: Path, place: Path) -> Iterator[Path]:
    """A folder in `place` in which the task author's scripts find raw data; what they write there is thrown away."""
    with tempfile.TemporaryDirectory(dir=place) as seen:
        lay_links(raw, Path(seen))
        yield Path(seen)


@contextmanager
def labels_of(scorer: Scorer) -> Iterator[Path | str]:
    """The test labels as evaluate_prepare.py writes them, for as long as the block runs; or why there are none.

    Raises:
        UserError: it fails on any submission.
    """
    folder = scorer.folder
    exports = folder.metadata.file_export_globs
    with tempfile.TemporaryDirectory(dir=scorer.scratch) as place:
        made: Path | str = Path(place) / LABELS
        try:
            # It wants a submission; any will do for the labels.
            scorer.labels({name: b"placeholder\n0\n" for name in exports if plain(name)}, Path(place) / LABELS)
        except ScriptFailure as failure:
            if all(map(plain, exports)) and not failure.reason.startswith("exit code 2"):
                raise UserError(f"{folder.path}: {failure}; try it with `aira tasks check`") from None
            made = str(failure)
        yield made


def gold_of(scorer: Scorer, labels: Path) -> Gold | None:
    """A perfect submission: the task's own, or the scoring columns of its labels; None where there is neither."""
    folder = scorer.folder
    if folder.metadata.file_export_globs != (SUBMISSION_CSV,):
        return None
    try:
        own = own_gold_of(scorer)
    except (TaskFolderError, ScriptFailure):
        own = None  # a custom_labels.py that does something else
    if own:
        return Gold(own, True)
    try:
        split = read_split(labels)
    except (CannotHoldOut, ValueError, OSError):
        return None
    names = folder.metadata.logging_info.scoring_column
    if split.table.num_rows == 0 or not set(names) <= set(split.columns):
        return None
    return Gold(split.cells(names), False)


def own_gold_of(scorer: Scorer, seconds: float = scripts.PREPARE_SECONDS) -> Table | None:
    """The task's own gold submission, None where it has none.

    Raises:
        ScriptFailure: custom_labels.py failed.
        TaskFolderError: it wrote no gold, or no table.
    """
    with tempfile.TemporaryDirectory(dir=scorer.scratch) as made, raw_for_scripts(scorer.shared, scorer.scratch) as raw:
        return own_gold(scorer.folder, raw, Path(made), seconds)


def measured(scorer: Scorer, gold: Gold | None) -> tuple[Scorer, Gold | None]:
    """The scorer with bounds in proportion to the task, by what a perfect submission takes; and that as it is scored.

    Raises:
        UserError: the scorer breaks on the task's own perfect submission, or finds it better than perfect.
    """
    folder = scorer.folder
    size = sum(path.stat().st_size for path in scorer.prepared.rglob("*") if path.is_file())
    most = min(memory_of_machine() * 3 // 4, _LEAST_MB + _TIMES_DATA * size // 2**20)
    scorer = replace(scorer, memory_mb=most, form=_form_of_shape(folder))
    if gold is None:
        return scorer, None
    for table in under_other_headers(gold.table, folder.description):
        known = replace(gold, table=table)
        started = time.monotonic()
        try:
            score = scorer.test(known.exports)
        except ScriptFailure as failure:
            _require_packages(folder, failure)
            if gold.own and not isinstance(failure, InvalidSubmission):
                raise UserError(f"{folder.path}: its own gold submission cannot be scored: {failure}") from None
            continue
        if said := beyond_optimum(score, folder.metadata):
            raise UserError(f"{folder.path}: a gold submission is scored {said}; mend metadata.yaml or evaluate.py")
        took = time.monotonic() - started
        seconds = min(scripts.EVALUATE_SECONDS, max(_LEAST_SECONDS, _TIMES_SECONDS * took))
        return replace(scorer, form=form_of(known.table), seconds=seconds), known
    return scorer, gold


def under_other_headers(gold: Table, description: str) -> Iterator[Table]:
    """A perfect submission, then its rows under other headers of as many columns that the description shows.

    A public task's own gold submission has another header than the one that its scorer and its description want.
    """
    yield gold
    shown = (re.split(r"\s*,\s*", line.strip()) for line in description.splitlines() if _HEADER.fullmatch(line.strip()))
    fitting = dict.fromkeys(tuple(names) for names in shown if len(names) == len(gold.header))
    for names in islice(fitting, _MOST_HEADERS):
        if list(names) != gold.header:
            yield replace(gold, header=list(names))


def _form_of_shape(folder: TaskFolder) -> Form | None:
    """What the metadata tell of a submission: how many rows and columns there are."""
    shape = folder.metadata.logging_info.shape
    columns = shape[1] if shape and len(shape) > 1 else 1
    return Form(shape[0], ("",) * columns, (None,) * columns) if shape else None


def rows_held_out(
    scorer: Scorer, section: TaskSection, labels: Path, gold: Gold | None
) -> tuple[HeldOutRows | None, str]:
    """The held-out rows, or why there are none.

    The scorer must take some submission for them: one of their labels, or, where a submission has another form than the
    labels, as many rows of a perfect one for the test split.

    Raises:
        UserError: the section wants rows held out, and none can be.
    """
    folder = scorer.folder
    if section.validation == "self-reported":
        return None, "the study wants it so"
    if folder.metadata.file_export_globs != (SUBMISSION_CSV,):
        return _none(folder, section, f"the task exports more than {SUBMISSION_CSV}")
    scoring = folder.metadata.logging_info.scoring_column
    target = scorer.scratch / HELD_OUT
    try:
        rows = hold_out(scorer.prepared, labels, target, section.validation_fraction, scoring)
    except CannotHoldOut as reason:
        return _none(folder, section, str(reason))
    refusal = ""
    for probe in _probes(rows, gold):
        try:
            scorer.held_out(rows, {SUBMISSION_CSV: probe})
        except ScriptFailure as failure:
            _require_packages(folder, failure)
            refusal = refusal or str(failure)
        else:
            return rows, ""
    shutil.rmtree(target)
    return _none(folder, section, f"its scorer does not take other rows than the test split's: {refusal}")


def _probes(rows: HeldOutRows, gold: Gold | None) -> Iterator[bytes]:
    yield rows.gold
    if gold:
        yield gold.table.with_rows(list(islice(cycle(gold.table.rows), rows.rows))).text().encode()


def _require_packages(folder: TaskFolder, failure: ScriptFailure) -> None:
    if "ModuleNotFoundError" in failure.reason:
        raise UserError(f"{folder.path}: {failure}; install what its scorer needs") from None


def _none(folder: TaskFolder, section: TaskSection, why: str) -> tuple[None, str]:
    if section.validation == "held-out":
        raise UserError(f"{folder.path}: no rows can be held out, since {why}; set task.validation: self-reported")
    return None, why
