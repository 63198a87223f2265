"""Task folders on the command line, whatever is submitted to them: check and score."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from aira_lib.tasks.airs import Finding, check_task_folder, find_task_folder, score_submission
from aira_lib.tasks.airs.folder import is_program_folder
from aira_lib.tasks.programs.check import check_program_folder
from aira_lib.tasks.programs.score import score_program


def check_folder(
    path: Path, shared: Path | None, seconds: float, environment: Mapping[str, str]
) -> Iterator[Finding]:  # fmt: skip
    """Check a task folder; see `check_task_folder` and `check_program_folder`."""
    if is_program_folder(path):
        return check_program_folder(path, shared, seconds)
    return check_task_folder(path, shared, seconds, environment=environment)


def score_in_folder(
    task: str, submission: Path, shared: Path | None, seconds: float, environment: Mapping[str, str]
) -> Iterator[str]:  # fmt: skip
    """Score a submission of a task; see `score_submission` and `score_program`.

    Raises:
        UserError: one line.
    """
    found = find_task_folder(task)
    if is_program_folder(found.path):
        return score_program(found.path, submission, shared, seconds)
    return score_submission(found, submission, shared, seconds, environment)
