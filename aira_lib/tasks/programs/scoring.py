"""Compare predictions with labels, where no submitted code runs: by a function, or by a script of the folder."""

import importlib
import math
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aira_lib.errors import UserError
from aira_lib.foreign import in_a_line
from aira_lib.sandbox import discard, run_candidate
from aira_lib.tasks.airs.held_out import LABELS
from aira_lib.tasks.airs.scripts import InvalidSubmission, ScriptFailure, read_result
from aira_lib.tasks.programs.arrays import write_split
from aira_lib.tasks.programs.folder import ProgramFolder, lay_library
from aira_lib.tasks.programs.parts import PREDICTIONS
from aira_lib.tasks.programs.running import LIBRARY

# By the command line of evaluate.py; its folder and the library come first on its path of modules.
_RUNNER = """\
import os, runpy, sys
sys.path[:0] = [os.path.abspath(name) for name in ("task", "library")]
sys.argv[:] = [{script!r}, "--submission-file", {submission!r}]
runpy.run_path({script!r}, run_name="__main__")
"""


def score_of(
    folder: ProgramFolder, predictions: NDArray[Any], labels: NDArray[Any], scratch: Path, seconds: float
) -> float:
    """The score of predictions that have been checked.

    Args:
        folder: The task.
        predictions: [n, *shape] of program.yaml.
        labels: [n, ...].
        scratch: Where a folder for a script is made.
        seconds: Wall time of a script, if it is less than what the folder allows.

    Raises:
        InvalidSubmission: the scorer refused the predictions; the reason is feedback to the agent.
        ScriptFailure: it failed.
        UserError: there is no such function.
    """
    if folder.score_script is None:
        return _by_function(folder.program.scored_by, predictions, labels)
    return _by_script(folder, folder.score_script, predictions, labels, scratch, seconds)


def function_of(name: str) -> Any:
    """A function of an installed package, by `package.module:function`.

    Raises:
        UserError: there is none.
    """
    module, _, function = name.partition(":")
    try:
        return getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError) as error:
        raise UserError(f"program.yaml: {name} cannot be imported: {in_a_line(str(error))}") from None


def _by_function(name: str, predictions: NDArray[Any], labels: NDArray[Any]) -> float:
    score = function_of(name)
    try:
        number = float(score(predictions, labels))
    except ValueError as refusal:
        raise InvalidSubmission(name, str(refusal)) from None
    if not math.isfinite(number):
        raise ScriptFailure(name, f"its score is {number}, not a finite number")
    return number


def _by_script(
    folder: ProgramFolder, script: str, predictions: NDArray[Any], labels: NDArray[Any], scratch: Path, seconds: float
) -> float:
    place = Path(tempfile.mkdtemp(dir=scratch)).resolve()
    try:
        write_split({folder.program.labels: labels}, place / LABELS)
        np.save(place / PREDICTIONS, predictions, allow_pickle=False)
        lay_library(folder.program, place / LIBRARY)
        (place / "work").mkdir()
        submission = f"./data/{PREDICTIONS}"
        seen = {"task": folder.path, f"data/{LABELS}": place / LABELS, f"data/{PREDICTIONS}": place / PREDICTIONS}
        code = _RUNNER.format(script=f"task/{script}", submission=submission)
        limits = folder.program.limits.score
        outcome = run_candidate(code, place / "work", limits, seconds, seen | {LIBRARY: place / LIBRARY})
    finally:
        discard(place)
    if outcome.status != "ok":
        raise (InvalidSubmission if outcome.exit_code == 2 else ScriptFailure)(script, outcome.reason)
    return read_result(outcome.stdout_tail, folder.task.metric)
