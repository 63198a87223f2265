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
from typing import Any, Literal

from aira_lib.errors import UserError
from aira_lib.records import Node
from aira_lib.sandbox import ArtefactError, closes_files, collect, isolation
from aira_lib.study import TaskSection
from aira_lib.tasks.airs import InvalidSubmission, ScriptFailure, TaskFolder
from aira_lib.tasks.airs.bounds import beyond_optimum, implausible
from aira_lib.tasks.airs.exports import MAX_BYTES, collect_exports
from aira_lib.tasks.airs.folder import RUNS_BESIDE_LABELS, searchable_folder
from aira_lib.tasks.airs.held_out import HeldOutRows
from aira_lib.tasks.airs.opening import open_folder
from aira_lib.tasks.airs.overview import data_overview
from aira_lib.tasks.airs.packages import installed
from aira_lib.tasks.live import DATA, CandidateFailure, Progress, Scored
from aira_lib.tasks.task import SearchTask

VALIDATION = "validation.json"
PREFIX = "held_out_"
"""Of the files with the predictions of held-out rows."""

_TIMES_GOLD = 2  # a submission may be larger than the limit of all others where a perfect one is
_MOST_VALIDATION = 4_096  # bytes of validation.json
_UNBOUNDED = "; metadata.yaml states no optimal_score, so any number counts"
_PROGRAM = "candidate.py"


class FolderTask:
    """See `aira_lib.tasks.live.Task`."""

    layers = 0
    prompts: Literal["design", "program"] = "program"

    def __init__(
        self, facts: SearchTask, section: TaskSection, scratch: Path, shared: Path | None = None,
        folders: Mapping[str, Path] | None = None,
    ) -> None:  # fmt: skip
        """Run prepare.py, try the scorer, and build the candidates' data, all in a new folder in `scratch`.

        Args:
            facts: The task's name, metric and direction.
            section: The study's task, with a folder.
            scratch: An empty folder that lives as long as the search; work directories come there too.
            shared: Folder of raw data sets; an empty one by default.
            folders: Further folders that candidates see, by name.

        Raises:
            UserError: there is no such folder, a script of it fails, or it does not allow what the study wants.
        """
        self.facts, self.folder = facts, searchable_folder(section.folder or "")
        self.folders = dict(folders or {})
        if self.folders and not closes_files(isolation()):
            raise UserError("task.folders: this machine cannot close the file system, so none can be shown read-only")
        self._exports = self.folder.metadata.file_export_globs
        opened = open_folder(self.folder, section, scratch / "task", shared)
        self._scorer, self._held_out, self._why_not = opened.scorer, opened.held_out, opened.why_not
        self.self_reported = self._held_out is None
        self.artefact = self._exports[0]
        further = [VALIDATION] if self.self_reported else [PREFIX + name for name in self._exports]
        self.also = (*self._exports[1:], *further)
        self.data = self._held_out.agent_data if self._held_out else self._scorer.prepared
        self.data_overview = "\n".join(
            [data_overview(self.data, DATA), *(data_overview(path, name) for name, path in self.folders.items())]
        )
        self.description = _describe(self.folder, self._held_out)

    def told(self) -> dict[str, Any]:
        """Where the validation fitness comes from, and if it is not measured, why not: entries of search.json."""
        trusted = {"test_why_trusted": RUNS_BESIDE_LABELS} if self.folder.exports_code else {}
        if self._held_out:
            return {"validation": "held-out", "held_out_rows": self._held_out.rows, **trusted}
        unbounded = "" if self.folder.metadata.logging_info.optimal_score is not None else _UNBOUNDED
        return {"validation": "self-reported", "validation_why": self._why_not + unbounded, **trusted}

    def collect(self, workdir: Path) -> Mapping[str, bytes]:
        """See `Task`; validation.json or the predictions of held-out rows are among what is submitted."""
        form = self._scorer.form
        most = max(MAX_BYTES, _TIMES_GOLD * math.ceil((form.row_bytes or 0) * form.rows)) if form else MAX_BYTES
        files = collect_exports(workdir, self._exports, (DATA, _PROGRAM, *self.folders), most)
        if self.self_reported:
            return {**files, VALIDATION: collect(workdir, VALIDATION, _MOST_VALIDATION)}
        return {**files, **collect_exports(workdir, [PREFIX + name for name in self._exports], most=most)}

    def score(
        self,
        submitted: Mapping[str, bytes],
        nodes: Sequence[Node],
        seconds_left: Callable[[], float],
        progress: Progress,
    ) -> Scored:
        """See `Task`. Scoring takes at most the time left of the search, and what the scorer allows."""
        rest = dict(submitted)
        try:
            validation = self._validation(rest, seconds_left, progress)
            progress(1, 2, "scoring the submission")
            test = self._within(self.artefact, lambda: self._scorer.test(rest, seconds_left()))
        except (CandidateFailure, ArtefactError) as failure:
            raise CandidateFailure(str(failure), Scored(self_reported=self.self_reported)) from None
        return Scored(validation=validation, test=test, self_reported=self.self_reported)

    def _validation(self, submitted: dict[str, bytes], seconds_left: Callable[[], float], progress: Progress) -> float:
        """The validation fitness; the files that it comes from are taken out of what was submitted."""
        rows = self._held_out
        if rows is None:
            reported = read_validation(submitted.pop(VALIDATION))
            if said := implausible(reported, self.folder.metadata):
                raise ArtefactError(f"{VALIDATION}: {said}")
            return reported
        exports = {name: submitted.pop(PREFIX + name) for name in self._exports}
        progress(0, 2, "scoring the predictions of held-out rows")
        return self._within(PREFIX + self.artefact, lambda: self._scorer.held_out(rows, exports, seconds_left()))

    def _within(self, name: str, score: Callable[[], float]) -> float:
        """A score, if there can be such a one. Which it is of the test split, an agent is not to read from a reason."""
        try:
            made = score()
        except InvalidSubmission as refusal:
            raise CandidateFailure(f"{name} is invalid: {refusal.reason}") from None
        except ScriptFailure as failure:
            raise CandidateFailure(f"{name} could not be scored: {failure}") from None
        if beyond_optimum(made, self.folder.metadata):
            raise CandidateFailure(f"the score of {name} does not count: it is better than a perfect one can be")
        return made


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
labels, in the form of ./data/test. The score of your predictions of them is your validation fitness, by which programs
are compared. Predict them exactly as you predict the test split; sizes of the train split that are stated above do not
hold. So your program writes two files into the current directory, whatever is said of one above:
1. `{artefact}`: the predictions of ./data/test, as described above. They are scored for you, outside of your program,
   on the hidden test labels.
2. `{held_out}`: the predictions of ./data/held_out, in the very form of `{artefact}`, but with one prediction for each
   of its {rows} rows, in their order.
A program that writes only one of them has failed."""

_SELF_REPORTED_TEXT = """\
Your program writes {exports} into the current directory; it is scored for you, outside of your program, on the hidden
test labels. Besides it writes `{validation}`, which holds {{"validation": NUMBER}} and nothing else: {metric}, measured
by your program on labelled data that it did not train on, in the units of the metric{bound}. This is the validation
fitness by which programs are compared. It is recorded as self-reported, and compared with the hidden score of
`{artefact}` afterwards: report what you measured. A program that writes only one of these files has failed."""


def _describe(folder: TaskFolder, held_out: HeldOutRows | None) -> str:
    """The folder's own description, and what this search adds to it."""
    artefact = folder.metadata.file_export_globs[0]
    direction = "lower is better" if folder.metadata.metric_lower_is_better else "higher is better"
    optimum = folder.metadata.logging_info.optimal_score
    told = (
        _HELD_OUT_TEXT.format(rows=held_out.rows, held_out=PREFIX + artefact, artefact=artefact)
        if held_out
        else _SELF_REPORTED_TEXT.format(
            exports=", ".join(f"`{name}`" for name in folder.metadata.file_export_globs), validation=VALIDATION,
            metric=folder.metric, artefact=artefact, bound="" if optimum is None else f", where {optimum:g} is perfect",
        )
    )  # fmt: skip
    return (
        f"{folder.description.strip()}\n\n# What this search asks for besides\n"
        f"The metric is {folder.metric}, {direction}.\n{told}\n{named_packages(folder)}"
    )


def named_packages(folder: TaskFolder) -> str:
    """Which of the packages that the task names for agents are installed."""
    wanted = folder.metadata.container_python_requirements
    if not wanted:
        return "The task names no further packages."
    found = ((each, installed(each)) for each in wanted)
    listed = (f"{each} ({f'{version} is installed' if version else 'not installed'})" for each, version in found)
    return f"Packages that the task names: {', '.join(listed)}."
