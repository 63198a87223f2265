"""From submitted files to a score that no submitted code can have a hand in: train, infer twice, compare, score."""

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aira_lib.asking import Ask, Measurement, NotValid
from aira_lib.tasks.airs.bounds import beyond_optimum
from aira_lib.tasks.airs.held_out import TRAIN
from aira_lib.tasks.airs.scripts import InvalidSubmission, ScriptFailure
from aira_lib.tasks.programs.arrays import Arrays, most_rows, read_split, rows_in
from aira_lib.tasks.programs.described import beyond
from aira_lib.tasks.programs.encoding import WidthError, encoded
from aira_lib.tasks.programs.folder import ProgramFolder
from aira_lib.tasks.programs.parts import Described, PartFailure, Parts, Trained
from aira_lib.tasks.programs.probes import Request, depends, learns, request_for
from aira_lib.tasks.programs.running import Files
from aira_lib.tasks.programs.scoring import function_of, score_of
from aira_lib.tasks.programs.section import Encode
from aira_lib.tasks.programs.splits import VALIDATION, Asked, Splits

SecondsLeft = Callable[[], float]
Said = Callable[[str], None]

_TOO_LONG = "infer failed (timeout)"
_ANSWERING = 2  # processes that every score asks at the least, one after the other
_COSTS = "it costs more than the task allows"
_DEPENDS, _NOT_SCORED = "predictions depend on more than their row", "the predictions cannot be scored"


@dataclass(frozen=True)
class Measured:
    """A score, what the processes printed, and what was measured besides.

    Of `measures`, those of the training are what `Trained` has; names that begin with `described_` are those of a
    folder's `describe` script, which runs beside submitted code, and `said_...` is what submitted code said itself.
    """

    score: float
    output: str
    measures: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Measure:
    """Scores submissions of one task on its open splits; submitted code sees the folders `shown`, by name, as well."""

    folder: ProgramFolder
    splits: Splits
    scratch: Path
    shown: Mapping[str, Path] = field(default_factory=dict)

    def validation(self, files: Files, seconds_left: SecondsLeft, said: Said, seed: int | None = None) -> Measured:
        """The fitness that steers: trained on train, asked for validation.

        Args:
            files: What was submitted.
            seconds_left: Seconds that all of it may take.
            said: Told of each process that starts.
            seed: Of the training; None: the folder's.

        Raises:
            PartFailure: a process failed, a probe found something, or the predictions cannot be scored.
        """
        seen = self.splits.labelled
        if not self.folder.program.train_sees_validation:
            seen = {TRAIN: seen[TRAIN]}
        described = self.described(files, seconds_left, said) if seed is None else Described({}, "")
        try:
            found = self._measured(files, seen, (TRAIN,), self.splits.steers, seconds_left, said, seed)
        except PartFailure as failure:
            known = {**described.measures, **failure.measures}
            raise PartFailure(str(failure), failure.kind, _lines(described.output, failure.output), known) from None
        measures = {**described.measures, **found.measures}
        return Measured(found.score, _lines(described.output, found.output), measures)

    def described(self, files: Files, seconds_left: SecondsLeft, said: Said) -> Described:
        """What the folder's script says of a submission; nothing where it has none.

        Raises:
            PartFailure: the script failed, or refused it, or a number is more than the folder allows.
        """
        script = self.folder.program.describe
        if script is None:
            return Described({}, "")
        said("describing")
        row = _row(self.splits.steers.inputs)
        found = Parts(self.folder, self.scratch).describe(files, script, row, seconds_left())
        if wrong := beyond(found.measures, self.folder.program.most_described):
            raise PartFailure(f"describe: {wrong}", _COSTS, found.output, found.measures)
        return found

    def test(self, files: Files, seconds_left: SecondsLeft, said: Said) -> Measured:
        """The hidden score: trained anew on train and validation, asked for test once.

        Raises:
            PartFailure: as for `validation`.
        """
        both = (TRAIN, VALIDATION)
        return self._measured(files, self.splits.labelled, both, self.splits.final, seconds_left, said)

    def _measured(
        self, files: Files, data: Mapping[str, Path], train_on: Sequence[str], asked: Asked,
        seconds_left: SecondsLeft, said: Said, seed: int | None = None,
    ) -> Measured:  # fmt: skip
        with closing(Parts(self.folder, self.scratch, seed, self.shown)) as parts:
            parts.infer_ahead(files, _ANSWERING)
            said("training")
            trained = parts.train(files, data, train_on, seconds_left())
            try:
                found = self._asked(parts, files, trained, asked, seconds_left, said)
            except PartFailure as failure:
                output = _lines(trained.output, failure.output)
                raise PartFailure(str(failure), failure.kind, output, trained.measures) from None
        return Measured(found.score, trained.output, {**trained.measures, **found.measures})

    def _asked(
        self, parts: Parts, files: Files, trained: Trained, asked: Asked, seconds_left: SecondsLeft, said: Said
    ) -> Measurement:
        """The score of what a training left, and what was measured besides."""
        program = self.folder.program
        if program.measure:
            found = self._by_itself(program.measure, parts, files, trained, asked, seconds_left, said)
            self._require_possible(found.score)
            return found
        request = request_for(asked.rows, program.probes, self.splits.secret, trained.weights)
        predictions = self._predictions(parts, files, trained.weights, asked, request, seconds_left, said)
        return Measurement(self._score(predictions, asked, seconds_left()))

    def _by_itself(
        self, name: str, parts: Parts, files: Files, trained: Trained, asked: Asked, seconds_left: SecondsLeft,
        said: Said,
    ) -> Measurement:  # fmt: skip
        """What a function finds that asks in its own way."""
        program = self.folder.program

        def answered(inputs: Arrays) -> NDArray[Any]:
            return parts.infer(files, trained.weights, inputs, seconds_left(), widen=False)

        def infer(inputs: Arrays) -> NDArray[Any]:
            said("predicting")
            try:
                return answered(inputs)
            except PartFailure as failure:
                raise self._told_of_training_rows(failure, answered, rows_in(inputs)) from None

        ask = Ask(infer, most_rows(program.predictions, program.limits.infer), trained.measured)
        rng = self._unforeseen(trained.weights)
        try:
            measured: Measurement = function_of(name)(ask, asked.inputs, asked.labels, rng, program.settings)
        except NotValid as refusal:
            raise PartFailure(str(refusal), refusal.kind) from None
        return measured

    def _told_of_training_rows(
        self, failure: PartFailure, answered: Callable[[Arrays], NDArray[Any]], rows: int
    ) -> PartFailure:
        """A failure of infer in what it says when it is asked for training rows, or else in words that are ours alone.

        Rows of text are targets of each other's: what a program says when it has seen hidden ones, an agent is not to
        read, nor write into the next program.
        """
        if failure.kind != _TOO_LONG:
            train = {name: each[:rows] for name, each in read_split(self.splits.train).items()}
            train.pop(self.folder.program.labels)
            try:
                answered(train)
            except PartFailure as again:
                return again
        return PartFailure(f"{failure.kind} when hidden rows were asked for; what it said is not told", failure.kind)

    def _predictions(
        self, parts: Parts, files: Files, weights: bytes, asked: Asked, request: Request, seconds_left: SecondsLeft,
        said: Said,
    ) -> NDArray[Any]:  # fmt: skip
        """Predictions of all rows in their order, after the probes.

        Where sides are encoded, no process that encodes sees two of a row, but one for the second request, which sees
        all of its sides: whoever looks from one to the other answers differently.
        """
        wanted, encode = self.folder.program.predictions, self.folder.program.encode
        row = _row(asked.inputs) if encode else None
        rng = self._unforeseen(weights)

        def seen(inputs: Arrays, apart: bool) -> Arrays:
            if encode is None:
                return inputs
            return _encoded(parts, encode, files, weights, inputs, rng, apart, seconds_left, said)

        every = seen(asked.inputs, True)
        said("predicting")
        first = parts.infer(files, weights, _chosen(every, request.first), seconds_left(), row=row)
        if found := learns(request, first, wanted):
            raise PartFailure(found, _DEPENDS)
        some = seen(_chosen(asked.inputs, request.second), False)
        said("asking rows again")
        second = parts.infer(files, weights, some, seconds_left(), row=row)
        if found := depends(request, first, second, wanted):
            raise PartFailure(found, _DEPENDS)
        return request.in_order(first)

    def _unforeseen(self, weights: bytes) -> np.random.Generator:
        """A generator that nobody can foretell who has not seen the labels of the test split."""
        secret = self.splits.secret + hashlib.sha256(weights).digest()
        return np.random.default_rng(np.frombuffer(hashlib.sha256(secret).digest(), np.uint32))

    def _score(self, predictions: NDArray[Any], asked: Asked, seconds: float) -> float:
        try:
            score = score_of(self.folder, predictions, asked.labels, self.scratch, seconds)
        except InvalidSubmission as refusal:
            raise PartFailure(f"the predictions are refused: {refusal.reason}", _NOT_SCORED) from None
        except ScriptFailure as failure:
            raise PartFailure(f"the predictions could not be scored: {failure}", _NOT_SCORED) from None
        self._require_possible(score)
        return score

    def _require_possible(self, score: float) -> None:
        if not math.isfinite(score) or beyond_optimum(score, self.folder.task.metadata):
            raise PartFailure("the score does not count: no number, or better than a perfect one can be", _NOT_SCORED)


def _lines(*outputs: str) -> str:
    return "\n".join(each for each in outputs if each)


def _chosen(inputs: Arrays, rows: NDArray[Any]) -> Arrays:
    return {name: array[rows] for name, array in inputs.items()}


def _row(inputs: Arrays) -> dict[str, tuple[int, ...]]:
    return {name: array.shape[1:] for name, array in inputs.items()}


def _encoded(
    parts: Parts, encode: Encode, files: Files, weights: bytes, inputs: Arrays, rng: np.random.Generator, apart: bool,
    seconds_left: SecondsLeft, said: Said,
) -> Arrays:  # fmt: skip
    """The inputs with the encodings of their sides in the sides' places."""

    def ask(sides: NDArray[Any]) -> NDArray[Any]:
        said("encoding")
        return parts.encode(files, weights, encode, sides, seconds_left())

    try:
        return {**inputs, **encoded({name: inputs[name] for name in encode.files}, ask, rng, apart)}
    except WidthError as error:
        raise PartFailure(f"encode: {error}", _DEPENDS) from None
