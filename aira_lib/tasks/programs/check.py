"""Conformance of a task folder whose submissions are code.

Its author's own submissions go the way of all others: `gold_submission` (or `gold_submission_trained`) must beat
`gold_submission_random_1` and `_2`, which must not fail, and `invalid_submission`, if there, must. What fails is a
failure with its reason, never a score.
"""

import math
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from aira_lib.errors import UserError
from aira_lib.sandbox import ArtefactError
from aira_lib.study import TaskSection
from aira_lib.tasks.airs.check import Finding
from aira_lib.tasks.airs.exports import collect_exports
from aira_lib.tasks.airs.scripts import ScriptFailure
from aira_lib.tasks.airs.submissions import GOLD, INVALID, RANDOM
from aira_lib.tasks.programs.folder import ProgramFolder, load_program_folder
from aira_lib.tasks.programs.measure import Measure
from aira_lib.tasks.programs.opening import open_programs
from aira_lib.tasks.programs.parts import PartFailure
from aira_lib.tasks.programs.running import Files

_GOLDS = (GOLD, f"{GOLD}_trained")


def check_program_folder(path: str | Path, shared: Path | None, seconds: float) -> Iterator[Finding]:
    """Check a folder with a program.yaml, yielding each finding as it is known.

    Args:
        path: The task folder; nothing is written into it.
        shared: Folder of raw data sets; an empty one by default.
        seconds: Wall time of each script of the author's, and of each submission at most.
    """
    try:
        folder = load_program_folder(path)
    except UserError as error:
        yield Finding("files, metadata and program.yaml", False, str(error))
        return
    direction = "lower is better" if folder.task.metadata.metric_lower_is_better else "higher is better"
    yield Finding("files, metadata and program.yaml", True, f"{folder.task.metric}, {direction}")
    named = folder.path.name == folder.task.name
    yield Finding(
        "folder name equals logging_info.name", named, "" if named else f"{folder.path.name} != {folder.task.name}"
    )
    with tempfile.TemporaryDirectory(prefix="aira-check-") as scratch:
        try:
            fraction = TaskSection().validation_fraction
            measure = open_programs(folder, fraction, Path(scratch) / "task", shared, seconds)
            yield from _checks(measure, seconds)
        except (ScriptFailure, UserError) as failure:
            yield Finding("runs to its end", False, str(failure))


def _checks(measure: Measure, seconds: float) -> Iterator[Finding]:
    splits = measure.splits
    origin = "drawn from train" if splits.held_out else "its own"
    yield Finding("prepare.py writes train and test, and keeps the test labels back", True)
    if measure.folder.program.describe:
        yield _described(measure, measure.folder.program.describe, seconds)
    scored: dict[str, float] = {}
    for name in (_gold_of(measure.folder), *RANDOM):
        finding = _scored(measure, name, seconds, scored)
        yield finding
        if not finding.holds:
            return
    gold, *others = scored
    unbeaten = [name for name in others if not measure.folder.task.better(scored[gold], scored[name])]
    told = ", ".join(f"{name} {scored[name]:.6g}" for name in (gold, *unbeaten)) if unbeaten else ""
    yield Finding("gold beats every other submission", not unbeaten, told)
    if (measure.folder.path / INVALID).is_dir():
        yield _refused(measure, seconds)
    sees = ", whose labels training sees" if measure.folder.program.train_sees_validation else ""
    yield Finding("can be searched", True, f"validation is measured on {splits.steers.rows:,} rows ({origin}{sees})")


def _gold_of(folder: ProgramFolder) -> str:
    return next((name for name in _GOLDS if (folder.path / name).is_dir()), GOLD)


def _described(measure: Measure, script: str, seconds: float) -> Finding:
    gold = _gold_of(measure.folder)
    what = f"{script} tells numbers of {gold}, without data"
    try:
        found = measure.described(submission_in(measure.folder, measure.folder.path / gold), _left(seconds), _quiet)
    except (PartFailure, UserError) as failure:
        return Finding(what, False, str(failure))
    return Finding(what, True, ", ".join(f"{name} {value:.4g}" for name, value in found.measures.items()))


def _scored(measure: Measure, name: str, seconds: float, scored: dict[str, float]) -> Finding:
    what = f"{name} is trained, asked and scored apart"
    try:
        score = measure.test(submission_in(measure.folder, measure.folder.path / name), _left(seconds), _quiet).score
    except (PartFailure, UserError) as failure:
        return Finding(what, False, str(failure))
    scored[name] = score
    return Finding(what, math.isfinite(score), f"{measure.folder.task.metric} {score:.6g}")


def _refused(measure: Measure, seconds: float) -> Finding:
    try:
        score = measure.test(submission_in(measure.folder, measure.folder.path / INVALID), _left(seconds), _quiet).score
    except PartFailure as failure:
        return Finding(f"{INVALID} is refused", True, str(failure))
    return Finding(f"{INVALID} is refused", False, f"it was scored {score:.6g}")


def submission_in(folder: ProgramFolder, place: Path) -> Files:
    """The files of a submission that lie in a folder.

    Raises:
        UserError: there is no such folder, or it lacks a file.
    """
    if not place.is_dir():
        raise UserError(f"{place}: no such folder; a submission holds {', '.join(folder.exports)}")
    try:
        return collect_exports(place.resolve(), folder.exports)
    except ArtefactError as refused:
        raise UserError(f"{place}: {refused}; a submission holds {', '.join(folder.exports)}") from None


def _left(seconds: float) -> Callable[[], float]:
    return lambda: seconds


def _quiet(note: str) -> None:
    return None
