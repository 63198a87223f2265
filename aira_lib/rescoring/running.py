"""The two sandboxes of a script: it trains and scores itself in the first; the second gives logits without targets."""

import json
import math
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aira_lib.foreign import in_a_line
from aira_lib.rescoring.text import Mode, Text
from aira_lib.sandbox import ArtefactError, Outcome, collect, discard, run_candidate
from aira_lib.study import CandidateLimits
from aira_lib.tasks.programs.arrays import ArrayError, most_bytes, read_predictions
from aira_lib.tasks.programs.section import Predictions
from aira_lib.tensors import TensorsError, tensors_in

WEIGHTS, CLAIM, LOGITS, ASKED = "weights.safetensors", "claim.json", "logits.npy", "asked.npy"
START_SECONDS = 120.0
"""What a script may take besides its training: to start, to compile, and to be evaluated."""
_MB = 2**20
_MOST_WEIGHTS_MB, _MOST_LOGITS_MB = 512, 256
_RUNNER = """\
import os, runpy, sys
sys.path.insert(0, os.path.abspath("prepared"))
sys.argv[:] = ["train.py"]
runpy.run_path("script/train.py", run_name="__main__")
"""
_NO_CLAIM = (ValueError, KeyError, TypeError, ArithmeticError, RecursionError)  # of a claim.json that the script wrote
_PRINTED = r"^{name}:[ \t]*([-+.\w]+)[ \t]*$"


class ScriptFailure(Exception):
    """A script that cannot be scored again; the text is one line that may repeat what it printed."""


@dataclass(frozen=True)
class Claim:
    """What a script said of itself, and the weights of the model that it was of.

    Attributes:
        printed: Bits per byte in its output; None: it printed none that is a number.
        returned: What `evaluate_bpb` returned to it; None: no finite number.
        own_seconds: Of training, as it counted them; None: it printed none.
        steps: As it counted them.
        parameters: Of the model that it handed over.
        seconds: Wall time of its process.
    """

    printed: float | None
    returned: float | None
    own_seconds: float | None
    steps: int | None
    parameters: int
    seconds: float
    weights: bytes


@dataclass(frozen=True)
class Runs:
    """Runs scripts; every folder that it needs is made in `scratch`.

    `seconds` are those that a script is told it may train.
    """

    text: Text
    scratch: Path
    seconds: float

    @property
    def limits(self) -> CandidateLimits:
        """Twice the time, as the original stops a run at ten minutes, and what starting takes."""
        return CandidateLimits(
            seconds=2 * self.seconds + START_SECONDS, memory_mb=8_192, disk_mb=_MOST_WEIGHTS_MB + 2 * _MOST_LOGITS_MB
        )

    def claim(self, code: str) -> Claim:
        """Run a script as it is.

        Raises:
            ScriptFailure: it failed, or handed no model to `evaluate_bpb`.
        """
        with self._place(code, "claim") as place:
            outcome = self._run(place, {}, (WEIGHTS, CLAIM))
            try:
                told = json.loads(collect(place / "work", CLAIM, 4_096))
                weights = collect(place / "work", WEIGHTS, _MOST_WEIGHTS_MB * _MB)
                tensors_in(weights)
                returned, parameters = _finite(told["bpb"]), int(told["parameters"])
            except (ArtefactError, TensorsError, *_NO_CLAIM) as wrong:
                raise ScriptFailure(f"left no model that evaluate_bpb was given: {in_a_line(str(wrong))}") from None
        said = outcome.stdout_tail
        steps = printed("num_steps", said)
        return Claim(
            printed("val_bpb", said), returned, printed("training_seconds", said),
            int(steps) if steps is not None else None, parameters, outcome.seconds, weights,
        )  # fmt: skip

    @property
    def most_rows(self) -> int:
        """Rows that one process is asked for at the most."""
        return max(1, _MOST_LOGITS_MB * _MB // most_bytes(1, self._row))

    @property
    def _row(self) -> Predictions:
        return Predictions(shape=(self.text.length, len(self.text.pieces)))

    def logits(self, code: str, weights: bytes, inputs: NDArray[Any]) -> NDArray[np.float64]:
        """What the model says comes after each place of rows, in a process that is not told what does.

        Args:
            code: The script.
            weights: What its training left.
            inputs: [n, T], n at most `most_rows`.

        Returns:
            Logits [n, T, V].

        Raises:
            ScriptFailure: it failed, or gave something else.
        """
        with self._place(code, "answer") as place:
            np.save(place / ASKED, inputs, allow_pickle=False)
            (place / WEIGHTS).write_bytes(weights)
            self._run(place, {name: place / name for name in (ASKED, WEIGHTS)}, (LOGITS,))
            try:
                content = collect(place / "work", LOGITS, most_bytes(len(inputs), self._row))
                return read_predictions(content, len(inputs), self._row, LOGITS)
            except (ArtefactError, ArrayError) as refused:
                raise ScriptFailure(f"gave no logits where it was built again: {refused}") from None

    @contextmanager
    def _place(self, code: str, mode: Mode) -> Iterator[Path]:
        place = Path(tempfile.mkdtemp(dir=self.scratch)).resolve()
        try:
            (place / "script").mkdir()
            (place / "script" / "train.py").write_text(code, encoding="utf-8")
            self.text.lay(place / "prepared", mode, self.seconds)
            (place / "work").mkdir()
            yield place
        finally:
            discard(place)

    def _run(self, place: Path, seen: dict[str, Path], wanted: tuple[str, ...]) -> Outcome:
        shown = {name: place / name for name in ("script", "prepared")} | seen
        outcome = run_candidate(_RUNNER, place / "work", self.limits, None, shown, wanted, self.text.hides)
        if outcome.status != "ok":
            raise ScriptFailure(f"failed ({outcome.status}): {outcome.reason}")
        return outcome


def _finite(said: Any) -> float | None:
    """A number of claim.json, which a script can write as it likes; None: none that is finite."""
    number = math.nan if said is None else float(said)
    return number if math.isfinite(number) else None


def printed(name: str, output: str) -> float | None:
    """The last number that an output gives a name of the printed block; None: there is none."""
    found = re.findall(_PRINTED.format(name=re.escape(name)), output, re.MULTILINE)
    try:
        number = float(found[-1])
    except (IndexError, ValueError):
        return None
    return number if np.isfinite(number) else None
