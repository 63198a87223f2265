"""A search over any AIRS-Bench task folder: a program submits predictions, the folder's own scripts score them.

The validation fitness, which steers the search, comes from one of two places; which, stands in the prompt, in every
node (`self_reported`) and in the summary. *Held out*: the agent's train split lacks some rows, of whose inputs the
program predicts the labels too, and evaluate.py scores that as if those rows were the test split. *Self-reported*: the
program writes `validation.json` with its own measurement, which is taken as it is: a program can be wrong or lie, and
only the test fitness beside it shows that. No model is asked to read a score from what a program prints.

The test fitness comes from evaluate_prepare.py and evaluate.py in both cases, is never shown, and lies nowhere near a
candidate: the test labels are written for each scoring anew, in a folder of the scorer's.
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal

from aira_lib.errors import UserError
from aira_lib.records import Node
from aira_lib.sandbox import ArtefactError, collect
from aira_lib.study import TaskSection
from aira_lib.tasks.airs import InvalidSubmission, ScriptFailure, TaskFolder, prepare
from aira_lib.tasks.airs.exports import collect_exports, plain
from aira_lib.tasks.airs.folder import searchable_folder
from aira_lib.tasks.airs.held_out import HELD_OUT, LABELS, CannotHoldOut, HeldOutRows, hold_out
from aira_lib.tasks.airs.metadata import SUBMISSION_CSV
from aira_lib.tasks.airs.overview import data_overview
from aira_lib.tasks.airs.packages import installed
from aira_lib.tasks.airs.scoring import Scorer
from aira_lib.tasks.airs.scripts import EVALUATE_SECONDS
from aira_lib.tasks.live import DATA, CandidateFailure, Progress, Scored
from aira_lib.tasks.task import SearchTask

VALIDATION = "validation.json"
PREFIX = "held_out_"
"""Of the files with the predictions of held-out rows."""

_MOST_VALIDATION = 4_096  # bytes of validation.json
_PROGRAM = "candidate.py"


class FolderTask:
    """See `aira_lib.tasks.live.Task`."""

    layers = 0
    prompts: Literal["design", "program"] = "program"

    def __init__(self, facts: SearchTask, section: TaskSection, scratch: Path, shared: Path | None = None) -> None:
        """Run prepare.py, try the scorer, and build the candidates' data, all in a new folder in `scratch`.

        Args:
            facts: The task's name, metric and direction.
            section: The study's task, with a folder.
            scratch: An empty folder that lives as long as the search; work directories come there too.
            shared: Folder of raw data sets; an empty one by default.

        Raises:
            UserError: there is no such folder, a script of it fails, or it does not allow what the study wants.
        """
        self.facts, self.folder = facts, searchable_folder(section.folder or "")
        self._exports = self.folder.metadata.file_export_globs
        self.artefact = self._exports[0]
        place = scratch / "task"
        shared, prepared = _prepared(self.folder, place, shared)
        self._scorer = Scorer(self.folder, shared, prepared, place)
        self._held_out, why_not = _held_out(self._scorer, section, place)
        self.self_reported = self._held_out is None
        self.validation = f"self-reported ({why_not})" if self.self_reported else "held-out"
        self.data = self._held_out.agent_data if self._held_out else prepared
        self.data_overview = data_overview(self.data, DATA)
        self.description = _describe(self.folder, self._held_out)

    def collect(self, workdir: Path) -> Mapping[str, bytes]:
        """See `Task`; validation.json or the predictions of held-out rows are among what is submitted."""
        files = collect_exports(workdir, self._exports, (DATA, _PROGRAM))
        if self.self_reported:
            return {**files, VALIDATION: collect(workdir, VALIDATION, _MOST_VALIDATION)}
        return {**files, **collect_exports(workdir, [PREFIX + name for name in self._exports])}

    def score(
        self,
        submitted: Mapping[str, bytes],
        nodes: Sequence[Node],
        seconds_left: Callable[[], float],
        progress: Progress,
    ) -> Scored:
        """See `Task`. Scoring takes at most the time left of the search."""

        def allowed() -> float:
            return min(EVALUATE_SECONDS, seconds_left())

        rest = dict(submitted)
        try:
            validation = self._validation(rest, allowed, progress)
            progress(1, 2, "scoring the submission")
            test = _scored(self.artefact, lambda: self._scorer.test(rest, allowed()))
        except (CandidateFailure, ArtefactError) as failure:
            raise CandidateFailure(str(failure), Scored(self_reported=self.self_reported)) from None
        return Scored(validation=validation, test=test, self_reported=self.self_reported)

    def _validation(self, submitted: dict[str, bytes], allowed: Callable[[], float], progress: Progress) -> float:
        """The validation fitness; the files that it comes from are taken out of what was submitted."""
        if self._held_out is None:
            return read_validation(submitted.pop(VALIDATION))
        exports = {name: submitted.pop(PREFIX + name) for name in self._exports}
        progress(0, 2, "scoring the predictions of held-out rows")
        rows = self._held_out
        return _scored(
            PREFIX + self.artefact, lambda: self._scorer.held_out(rows.agent_data, rows.labels, exports, allowed())
        )


def _prepared(folder: TaskFolder, place: Path, shared: Path | None) -> tuple[Path, Path]:
    """Run prepare.py; the folders of raw and of prepared data."""
    for name in ("shared", "prepared", "log"):
        (place / name).mkdir(parents=True)
    raw = shared.resolve() if shared else place / "shared"
    try:
        prepare(folder, raw, place / "prepared", place / "log")
    except ScriptFailure as failure:
        hint = "" if shared else "; if it needs raw data, set AIRA_TASK_DATA to the folder that holds them"
        raise UserError(f"{folder.path}: {failure}{hint}") from None
    if (place / "prepared" / LABELS).exists():
        raise UserError(f"{folder.path}: prepare.py wrote {LABELS}, which agents would see; see `aira tasks check`")
    return raw, place / "prepared"


def _held_out(scorer: Scorer, section: TaskSection, place: Path) -> tuple[HeldOutRows | None, str]:
    """The held-out rows, or why there are none. The scorer is tried on the way, before any model is asked."""
    folder, exports = scorer.folder, scorer.folder.metadata.file_export_globs
    try:
        # evaluate_prepare.py wants a submission; any will do for the labels.
        scorer.labels({name: b"placeholder\n0\n" for name in exports if plain(name)}, place / "labels")
    except ScriptFailure as failure:
        if all(map(plain, exports)) and not failure.reason.startswith("exit code 2"):
            raise UserError(f"{folder.path}: {failure}; try it with `aira tasks check`") from None
        return _none(folder, section, str(failure))
    if section.validation == "self-reported":
        return None, "as the study wants it"
    if exports != (SUBMISSION_CSV,):
        return _none(folder, section, f"the task exports more than {SUBMISSION_CSV}")
    scoring = folder.metadata.logging_info.scoring_column
    try:
        rows = hold_out(scorer.prepared, place / "labels", place / HELD_OUT, section.validation_fraction, scoring)
        scorer.held_out(rows.agent_data, rows.labels, {SUBMISSION_CSV: rows.gold})
    except CannotHoldOut as reason:
        return _none(folder, section, str(reason))
    except ScriptFailure as failure:
        if "ModuleNotFoundError" in failure.reason:
            raise UserError(f"{folder.path}: {failure}; install what its scorer needs") from None
        return _none(folder, section, f"its scorer does not take other rows than the test split's: {failure}")
    return rows, ""


def _none(folder: TaskFolder, section: TaskSection, why: str) -> tuple[None, str]:
    if section.validation == "held-out":
        raise UserError(f"{folder.path}: no rows can be held out, since {why}; set task.validation: self-reported")
    return None, why


def _scored(name: str, score: Callable[[], float]) -> float:
    try:
        return score()
    except InvalidSubmission as refusal:
        raise CandidateFailure(f"{name} is invalid: {refusal.reason}") from None
    except ScriptFailure as failure:
        raise CandidateFailure(f"{name} could not be scored: {failure}") from None


def read_validation(content: bytes) -> float:
    """The number of validation.json, `{"validation": 0.5}` and nothing else.

    Raises:
        ArtefactError: it is anything else; the text is feedback to the agent.
    """
    try:
        read = json.loads(content)
    except (ValueError, RecursionError):
        raise ArtefactError(f"{VALIDATION} is not JSON") from None
    value = read.get("validation") if isinstance(read, dict) and len(read) == 1 else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ArtefactError(f'{VALIDATION} must hold one object with the one key "validation" and a number')
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ArtefactError(f"{VALIDATION}: {number} is not a finite number")
    return number


_HELD_OUT_TEXT = """\
The train split in ./data/train lacks some rows: {rows} others, drawn from it at random, lie in ./data/held_out, without
labels, in the form of ./data/test. Write your predictions of them to `{held_out}` in the very form of `{artefact}`, but
with {rows} rows. Their score is your validation fitness, by which programs are compared. Predict them exactly as you
predict the test split; sizes of the train split that are stated above do not hold."""

_SELF_REPORTED_TEXT = """\
Write `{validation}` too, which holds {{"validation": NUMBER}} and nothing else: {metric}, measured by your program on
labelled data that it did not train on. This is the validation fitness by which programs are compared. It is recorded as
self-reported, and compared with the hidden score of `{artefact}` afterwards: report what you measured."""


def _describe(folder: TaskFolder, held_out: HeldOutRows | None) -> str:
    """The folder's own description, and what this search adds to it."""
    exports = ", ".join(f"`{name}`" for name in folder.metadata.file_export_globs)
    artefact = folder.metadata.file_export_globs[0]
    direction = "lower is better" if folder.metadata.metric_lower_is_better else "higher is better"
    told = (
        _HELD_OUT_TEXT.format(rows=held_out.rows, held_out=PREFIX + artefact, artefact=artefact)
        if held_out
        else _SELF_REPORTED_TEXT.format(validation=VALIDATION, metric=folder.metric, artefact=artefact)
    )
    return (
        f"{folder.description.strip()}\n\n# What this search asks for besides\n"
        f"The metric is {folder.metric}, {direction}. Write {exports} into the current directory; it is scored for "
        f"you, outside of your program, on the hidden test labels.\n{told}\n{_packages(folder)}"
    )


def _packages(folder: TaskFolder) -> str:
    """Which of the packages that the task names for agents are installed."""
    wanted = folder.metadata.container_python_requirements
    if not wanted:
        return "The task names no further packages."
    found = ((each, installed(each)) for each in wanted)
    listed = (f"{each} ({f'{version} is installed' if version else 'not installed'})" for each, version in found)
    return f"Packages that the task names: {', '.join(listed)}."
