"""The processes that run submitted code, each in a sandbox of its own, and the files that may leave them.

All find, read-only: the submitted files in `./submission`, the folder's scripts in `./task`, modules of this library
in `./library` (all three on the path of modules), and what they are told in `./run.json`. Train finds labelled rows in
`./data/train` (and `./data/validation`) and must leave `weights.safetensors`; infer finds inputs in `./data/inputs` and
these weights, and must leave `predictions.npy`. Encode, where a folder has it, comes before infer: it finds weights and
single sides of rows as `./data/inputs/inputs.npy`, and must leave `encodings.npy`, which are infer's inputs then.
Describe, where a folder has it, finds nothing else and must leave `described.json`. Nothing else that they leave is
looked at, and all that they started is ended before the next process starts.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from aira_lib.sandbox import ArtefactError, Outcome, collect, gives_gpu
from aira_lib.study import CandidateLimits
from aira_lib.tasks.programs.arrays import (
    ArrayError,
    Arrays,
    most_bytes,
    read_encodings,
    read_predictions,
    rows_in,
)
from aira_lib.tasks.programs.described import DESCRIBED, MOST_BYTES, DescribedError, read_described
from aira_lib.tasks.programs.folder import ProgramFolder
from aira_lib.tasks.programs.running import INPUTS, WEIGHTS, Files, Process
from aira_lib.tasks.programs.section import Encode, Predictions
from aira_lib.tasks.programs.training import measured_of, parameters_in, said_of
from aira_lib.tensors import TensorsError, tensors_in

PREDICTIONS, ENCODINGS = "predictions.npy", "encodings.npy"
_MB = 2**20
_NO_WEIGHTS, _NO_PREDICTIONS = "train left no valid weights", "infer left no valid predictions"
_NO_ENCODINGS = "encode left no valid encodings"
_NOT_DESCRIBED = "describe left no valid numbers"

Row = Mapping[str, Sequence[int]]
"""The shape of a row of each file."""


class PartFailure(Exception):
    """What was submitted cannot be scored; the text is one line that may repeat what submitted code said.

    Attributes:
        kind: The same in words that are ours alone, for where submitted code has seen what nobody may be told.
        output: What it printed.
        measures: What was known of it by then, as a node has it.
    """

    def __init__(self, reason: str, kind: str, output: str = "", measures: Mapping[str, float] | None = None) -> None:
        super().__init__(reason)
        self.kind, self.output, self.measures = kind, output, measures or {}


@dataclass(frozen=True)
class Trained:
    """What a training left: the weights, checked, what it printed, what was measured of it, and what it said.

    `measured` is what `measured_of` gives, and `parameters`, the floating-point elements of the weights; `said` is what
    `said_of` gives.
    """

    weights: bytes
    output: str
    measured: Mapping[str, float]
    said: Mapping[str, float]

    @property
    def measures(self) -> dict[str, float]:
        """Both, for a node, each by names of its own."""
        return {**self.measured, **self.said}


@dataclass(frozen=True)
class Described:
    """What a folder's script says of a submission: numbers by name, and what was printed."""

    measures: Mapping[str, float]
    output: str


@dataclass(frozen=True)
class Parts:
    """Runs submitted code; every folder that it needs is made in `scratch`.

    `shown` are further folders that it finds, read-only, by name; `waiting` are processes that were started ahead.
    """

    folder: ProgramFolder
    scratch: Path
    seed: int | None = None
    """Told to the scripts; None: the folder's."""
    shown: Mapping[str, Path] = field(default_factory=dict)
    waiting: list[Process] = field(default_factory=list)

    def train(self, files: Files, data: Mapping[str, Path], train_on: Sequence[str], seconds: float) -> Trained:
        """Train.

        Args:
            files: What was submitted.
            data: Folders of labelled rows by the names under which they are found in `./data`.
            train_on: Those of them that are to be trained on.
            seconds: Wall time, if it is less than what the folder allows.

        Raises:
            PartFailure: it failed, or left no weights.
        """
        program = self.folder.program
        limits = program.limits_of_training
        seen = {f"data/{name}": path for name, path in data.items()}
        told = self._about(part="train", train_on=list(train_on), seconds=min(seconds, limits.seconds))
        with closing(self._process(files, program.train, limits, seen)) as process:
            outcome = process.run(told, seconds, WEIGHTS)
            output, said = _printed(outcome), said_of(outcome.stdout_tail)
            measured = measured_of(outcome, gives_gpu(limits))
            _require_well("train", outcome, {**measured, **said})
            try:
                weights = collect(process.work, WEIGHTS, program.limits.weights_mb * _MB)
                measured["parameters"] = parameters_in(tensors_in(weights))
            except (ArtefactError, TensorsError) as wrong:
                what = f"{WEIGHTS}: {wrong}" if isinstance(wrong, TensorsError) else str(wrong)
                raise PartFailure(f"train: {what}", _NO_WEIGHTS, output, {**measured, **said}) from None
        return Trained(weights, output, measured, said)

    def infer(
        self, files: Files, weights: bytes, inputs: Arrays, seconds: float, widen: bool = True,
        row: Row | None = None,
    ) -> NDArray[Any]:  # fmt: skip
        """Ask for predictions.

        Args:
            files: What was submitted.
            weights: What a training of it left.
            inputs: The rows, in the order in which they are asked.
            seconds: Wall time, if it is less than what the folder allows.
            widen: See `read_predictions`.
            row: The shape of a row of each file before it was encoded; None: nothing was.

        Returns:
            Predictions of these rows; see `read_predictions`.

        Raises:
            PartFailure: it failed, or left something else.
        """
        program, rows = self.folder.program, rows_in(inputs)
        told = self._about(part="infer", **({"row": _plain(row)} if row else {}))
        with self._asked(files, weights, inputs, program.infer, told, seconds, PREDICTIONS) as (work, outcome):
            try:
                content = collect(work, PREDICTIONS, most_bytes(rows, program.predictions))
                return read_predictions(content, rows, program.predictions, PREDICTIONS, widen)
            except (ArtefactError, ArrayError) as refused:
                raise PartFailure(f"infer: {refused}", _NO_PREDICTIONS, _printed(outcome)) from None

    def encode(
        self, files: Files, weights: bytes, encode: Encode, sides: NDArray[Any], seconds: float
    ) -> NDArray[Any]:  # fmt: skip
        """Ask for encodings of sides of rows; the limits are those of infer.

        Args:
            files: What was submitted.
            weights: What a training of it left.
            encode: As the folder has it.
            sides: [n, ...], in the order in which they are asked.
            seconds: Wall time, if it is less than what the folder allows.

        Returns:
            float [n, d], finite; d is at most `width`.

        Raises:
            PartFailure: it failed, or left something else.
        """
        rows = len(sides)
        inputs, told = {f"{INPUTS}.npy": sides}, self._about(part="encode")
        with self._asked(files, weights, inputs, encode.script, told, seconds, ENCODINGS) as (work, outcome):
            try:
                content = collect(work, ENCODINGS, most_bytes(rows, Predictions(shape=(encode.width,))))
                return read_encodings(content, rows, encode.width, ENCODINGS)
            except (ArtefactError, ArrayError) as refused:
                raise PartFailure(f"encode: {refused}", _NO_ENCODINGS, _printed(outcome)) from None

    def describe(self, files: Files, script: str, row: Row, seconds: float) -> Described:
        """Ask for numbers of what was submitted, where there are neither data nor weights.

        Args:
            files: What was submitted.
            script: Of the folder.
            row: The shape of a row of each file of inputs, which is all that is told of them.
            seconds: Wall time, if it is less than what the folder allows.

        Raises:
            PartFailure: it failed, or left something else.
        """
        limits = self.folder.program.limits.describe
        with closing(self._process(files, script, limits, {})) as process:
            outcome = process.run(self._about(part="describe", row=_plain(row)), seconds, DESCRIBED)
            _require_well("describe", outcome)
            output = _printed(outcome)
            try:
                return Described(read_described(collect(process.work, DESCRIBED, MOST_BYTES)), output)
            except (ArtefactError, DescribedError) as refused:
                raise PartFailure(f"describe: {refused}", _NOT_DESCRIBED, output) from None

    def infer_ahead(self, files: Files, count: int) -> None:
        """Start processes that `infer` will ask; until then they import what the folder says, and wait."""
        program = self.folder.program
        for _ in range(count if program.ahead else 0):
            process = self._process(files, program.infer, program.limits.infer, {})
            self.waiting.append(process)
            process.start_ahead()

    def close(self) -> None:
        """End what was started ahead and never asked."""
        while self.waiting:
            self.waiting.pop().close()

    @property
    def told_seed(self) -> int:
        """The seed of a training."""
        return self.folder.program.seed if self.seed is None else self.seed

    @contextmanager
    def _asked(
        self, files: Files, weights: bytes, inputs: Arrays, script: str, told: Mapping[str, Any], seconds: float,
        wanted: str,
    ) -> Iterator[tuple[Path, Outcome]]:  # fmt: skip
        """Where a script has run that finds weights and inputs, and how it ended, for as long as the block runs."""
        limits = self.folder.program.limits.infer
        ahead = next((each for each in self.waiting if each.script == script), None)
        if ahead:
            self.waiting.remove(ahead)
        with closing(ahead or self._process(files, script, limits, {})) as process:
            about = {**told, "rows": rows_in(inputs), "seconds": min(seconds, limits.seconds)}
            outcome = process.ask(about, weights, inputs, seconds, wanted)
            _require_well(told["part"], outcome)
            yield process.work, outcome

    def _process(self, files: Files, script: str, limits: CandidateLimits, data: Mapping[str, Path]) -> Process:
        return Process(self.folder, script, limits, files, {**data, **self.shown}, self.scratch)

    def _about(self, **told: Any) -> dict[str, Any]:
        """What run.json says."""
        program = self.folder.program
        return {"version": program.version, **told, "seed": self.told_seed, "settings": dict(program.settings)}


def _require_well(part: str, outcome: Outcome, measures: Mapping[str, float] | None = None) -> None:
    """Refuse a part that did not end well."""
    if outcome.status != "ok":
        kind = f"{part} failed ({outcome.status})"
        raise PartFailure(f"{kind}: {outcome.reason}", kind, _printed(outcome), measures)


def _plain(row: Row) -> dict[str, list[int]]:
    return {name: list(shape) for name, shape in row.items()}


def _printed(outcome: Outcome) -> str:
    return "\n".join(part for part in (outcome.stdout_tail.rstrip(), outcome.stderr_tail.rstrip()) if part)
