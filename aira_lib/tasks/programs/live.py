"""A search over a task whose submissions are code: an agent writes it, the harness trains and scores it.

The validation fitness, which steers the search, is always measured (see `aira_lib.tasks.programs.measure`), and the
hidden test fitness comes from a training of its own, of which an agent is told nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from aira_lib.autoresearch.literature.library import PWC, Shown, asked_for
from aira_lib.records import Node
from aira_lib.records.opened import BASELINE_SEED
from aira_lib.study import TaskSection
from aira_lib.tasks.airs.exports import collect_exports
from aira_lib.tasks.airs.held_out import TRAIN
from aira_lib.tasks.airs.live import named_packages
from aira_lib.tasks.live import DATA, CandidateFailure, Progress, Scored, untested
from aira_lib.tasks.programs.arrays import in_words, read_split
from aira_lib.tasks.programs.consulting import open_literature
from aira_lib.tasks.programs.folder import ProgramFolder
from aira_lib.tasks.programs.measure import Said
from aira_lib.tasks.programs.opening import opened_for_search
from aira_lib.tasks.programs.parts import PartFailure
from aira_lib.tasks.programs.running import INPUTS
from aira_lib.tasks.programs.section import ProgramSection
from aira_lib.tasks.task import SearchTask

_PROGRAM = "candidate.py"
_MOST_BYTES = 4 * 2**20  # of all submitted files: code, and no weights


class ProgramTask:
    """See `aira_lib.tasks.live.Task`."""

    layers = 0
    prompts: Literal["design", "program"] = "program"

    def __init__(
        self, facts: SearchTask, folder: ProgramFolder, section: TaskSection, scratch: Path, shared: Path | None = None
    ) -> None:
        """Open the task in new folders of `scratch`.

        Args:
            facts: The task's name, metric and direction.
            folder: The task.
            section: The study's task.
            scratch: An empty folder that lives as long as the search.
            shared: Folder of raw data sets; an empty one by default.

        Raises:
            UserError: it cannot be opened here.
        """
        self.facts, self.folder = facts, folder
        self._measure = opened_for_search(folder, section, scratch / "task", shared)
        splits = self._measure.splits
        self.artefact, *also = folder.exports
        self.also = tuple(also)
        self.hides = folder.program.hides
        self.is_artefact = folder.program.reply == "file"
        if self.is_artefact:
            self.limits = folder.program.limits.train
        self.data = splits.train.parent
        train = in_words(read_split(splits.train), f"./{DATA}/{TRAIN}")
        asked = in_words(splits.steers.inputs, f"./{DATA}/{INPUTS}")
        self.data_overview = "\n".join(
            ["Labelled rows, in training:", *train, "Rows whose labels are not told, when predictions are asked for:",
             *asked, f"The hidden test set has {splits.final.rows:,} rows of this kind."]
        )  # fmt: skip
        self.baseline, self.seed = folder.baseline, folder.program.seed
        self.tested_apart = folder.program.test == "best"
        self.description = describe(self._measure.folder)
        self.literature = open_literature(section) if folder.program.literature else None
        if self.literature:
            self._measure = replace(self._measure, shown={PWC: self.literature.lay(scratch / PWC)})
            self.description += f"\n\n{self.literature.digest()}"

    def told(self) -> dict[str, Any]:
        """Where the validation fitness comes from: entries of search.json."""
        splits = self._measure.splits
        told: dict[str, Any] = {"validation": "measured", "validation_rows": splits.steers.rows}
        if self.baseline is not None:
            told[BASELINE_SEED] = self.seed
        if splits.about:
            told["data"] = dict(splits.about)
        if self.literature:
            told |= {"literature": self.literature.identity(), "papers": len(self.literature.entries)}
        if self.folder.program.train_sees_validation:
            told["validation_why"] = "training sees these rows and their labels, too"
        return told

    def consulted(self, nodes: Sequence[Node]) -> Shown:
        """See `Task`: what the last step asked for."""
        if not self.literature or not nodes:
            return Shown()
        return self.literature.shown(asked_for(nodes[-1].plan))

    def collect(self, workdir: Path) -> Mapping[str, bytes]:
        """See `Task`."""
        return collect_exports(workdir, self.folder.exports, (DATA, _PROGRAM), _MOST_BYTES)

    def score(
        self,
        submitted: Mapping[str, bytes],
        nodes: Sequence[Node],
        seconds_left: Callable[[], float],
        progress: Progress,
    ) -> Scored:
        """See `Task`; with the test where program.yaml has it run for every program."""
        known = self._validated(submitted, seconds_left, lambda note: progress(0, 2, note))
        if self.tested_apart:
            return known
        try:
            return replace(known, test=self.score_test(submitted, seconds_left, progress))
        except CandidateFailure as failure:
            raise CandidateFailure(str(failure), untested(known)) from None

    def score_test(
        self, submitted: Mapping[str, bytes], seconds_left: Callable[[], float], progress: Progress
    ) -> float:
        """See `aira_lib.tasks.live.TestedApart`."""
        try:
            return self._measure.test(submitted, seconds_left, lambda note: progress(1, 2, f"final test: {note}")).score
        except PartFailure as failure:
            # Its training has seen the labels of validation: what it says of them, an agent is not to read.
            raise CandidateFailure(f"in the final test: {failure.kind}") from None

    def score_baseline(self, seed: int, seconds_left: Callable[[], float], progress: Progress) -> Scored:
        """See `aira_lib.tasks.live.Reseeded`."""
        assert self.baseline is not None
        return self.score_again({self.artefact: self.baseline.encode()}, seed, seconds_left, progress)

    def score_again(
        self, submitted: Mapping[str, bytes], seed: int, seconds_left: Callable[[], float], progress: Progress
    ) -> Scored:
        """See `aira_lib.tasks.live.Reseeded`: validation alone, with another seed."""
        return self._validated(submitted, seconds_left, lambda note: progress(0, 1, note), seed)

    def _validated(
        self, submitted: Mapping[str, bytes], seconds_left: Callable[[], float], said: Said, seed: int | None = None
    ) -> Scored:
        try:
            found = self._measure.validation(submitted, seconds_left, said, seed)
        except PartFailure as failure:
            raise CandidateFailure(str(failure), Scored(output=failure.output, measures=failure.measures)) from None
        return Scored(validation=found.score, output=found.output, measures=found.measures)


_ASKS = """\
{what}
What you submit is trained and scored for you, by processes that you do not control:
1. *Train* runs the task's `{train}` with it, on labelled rows, for at most {train_seconds:g} seconds, with
   {train_mb:,} MB of memory; it must leave weights of at most {weights_mb:,} MB. What it prints you see at the next
   step.
2. *Infer* runs `{infer}` in a fresh sandbox with what you submitted, the weights and inputs without labels, for at
   most {infer_seconds:g} seconds, with {infer_mb:,} MB. Nothing else of the training is left.
{encodes}\
3. Predictions are compared with labels where your code does not run. Nothing that it prints counts.
{describes}{settings}\
Rows are asked for in an order drawn at random, some of them twice, and some in another process: the prediction of a row
must depend on that row and the weights alone.
The fitness is {metric} of the validation rows, {direction}; a hidden test set is scored besides.
{packages}"""
_ENCODES = """\
   Before infer, *encode* runs `{script}` in other sandboxes, with the weights and single sides of rows ({files}),
   which do not tell what they belong to; infer finds encodings, of at most {width} numbers, in the place of these.
"""
_DESCRIBES = """\
Before all that, the task's `{script}` tells numbers of what you submitted, without data, in at most {seconds:g}
seconds.{most}
"""
_SETTINGS = "The settings that these scripts are told, whatever is said of others elsewhere: {told}.\n"
_FILE = "Your reply's program is the file `{artefact}` itself: it is not run by itself, but submitted as it stands."
_PROGRAM_WRITES = "Your reply's program is run first, and writes {exports}: these files are what you submit."


def _encodes(program: ProgramSection) -> str:
    if program.encode is None:
        return ""
    of = program.encode
    return _ENCODES.format(script=of.script, files=", ".join(of.files), width=of.width)


def _describes(program: ProgramSection) -> str:
    if program.describe is None:
        return ""
    told = ", ".join(f"`{name}` is more than {bound:g}" for name, bound in program.most_described.items())
    most = f" It is refused where {told}." if told else ""
    return _DESCRIBES.format(script=program.describe, seconds=program.limits.describe.seconds, most=most)


def _settings(program: ProgramSection) -> str:
    told = ", ".join(f"{name} {value}" for name, value in program.settings.items())
    return _SETTINGS.format(told=told) if told else ""


def describe(folder: ProgramFolder) -> str:
    """The folder's own description, and how what is submitted is scored."""
    program, limits = folder.program, folder.program.limits
    exports = ", ".join(f"`{name}`" for name in folder.exports)
    file = program.reply == "file"
    told = _ASKS.format(
        what=_FILE.format(artefact=folder.exports[0]) if file else _PROGRAM_WRITES.format(exports=exports),
        train=program.train, infer=program.infer, weights_mb=limits.weights_mb,
        train_seconds=limits.train.seconds, train_mb=limits.train.memory_mb,
        infer_seconds=limits.infer.seconds, infer_mb=limits.infer.memory_mb,
        metric=folder.task.metric, packages=named_packages(folder.task),
        describes=_describes(program), encodes=_encodes(program), settings=_settings(program),
        direction="lower is better" if folder.task.metadata.metric_lower_is_better else "higher is better",
    )  # fmt: skip
    start = f"\n\n# The program to start from\n```python\n{folder.baseline.strip()}\n```" if folder.baseline else ""
    return f"{folder.task.description.strip()}\n\n# What is submitted, and how it is scored\n{told}{start}"
