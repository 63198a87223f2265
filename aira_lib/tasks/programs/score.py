"""Score one submission of a task whose submissions are code, as `aira tasks score` does: the final test."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

from aira_lib.errors import UserError
from aira_lib.study import TaskSection
from aira_lib.tasks.airs.exports import plain
from aira_lib.tasks.airs.score import score_lines
from aira_lib.tasks.airs.scripts import ScriptFailure
from aira_lib.tasks.programs.check import submission_in
from aira_lib.tasks.programs.folder import ProgramFolder, load_program_folder
from aira_lib.tasks.programs.opening import open_programs
from aira_lib.tasks.programs.parts import PartFailure
from aira_lib.tasks.programs.running import Files


def score_program(path: Path, submission: Path, shared: Path | None, seconds: float) -> Iterator[str]:
    """Train on train and validation, ask for test, and say in lines what the score means.

    Args:
        path: The task folder.
        submission: The file that it exports, or a folder with all its files.
        shared: Folder of raw data sets; an empty one by default.
        seconds: Wall time of each script.

    Raises:
        UserError: there is no such submission, it fails, or a script fails; one line.
    """
    folder = load_program_folder(path)
    files = _files(folder, submission)
    with tempfile.TemporaryDirectory(prefix="aira-score-") as scratch:
        try:
            fraction = TaskSection().validation_fraction
            measure = open_programs(folder, fraction, Path(scratch) / "task", shared, seconds)
            described = measure.described(files, lambda: seconds, lambda note: None)
            measured = measure.test(files, lambda: seconds, lambda note: None)
        except PartFailure as failure:
            raise UserError(f"{submission}: {failure}") from None
        except ScriptFailure as failure:
            raise UserError(f"{path}: {failure}; try it with `aira tasks check`") from None
    yield from score_lines(folder.task, measured.score)
    yield from (f"{name}: {value:.6g}" for name, value in described.measures.items())


def _files(folder: ProgramFolder, submission: Path) -> Files:
    if submission.is_file() and len(folder.exports) == 1 and plain(folder.exports[0]):
        return {folder.exports[0]: submission.read_bytes()}
    return submission_in(folder, submission)
