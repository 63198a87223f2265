"""Score one submission of a task folder, as `aira tasks score` does."""

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from aira_lib.errors import UserError
from aira_lib.tasks.airs.bounds import beyond_optimum, normalised_score
from aira_lib.tasks.airs.folder import TaskFolder
from aira_lib.tasks.airs.scripts import InvalidSubmission, ScriptFailure
from aira_lib.tasks.airs.submissions import copy_exports
from aira_lib.tasks.airs.trial import Submit, trial_of


def score_submission(
    task: TaskFolder, submission: Path, shared: Path | None, seconds: float, environment: Mapping[str, str]
) -> Iterator[str]:
    """Score a submission on the test split, and say in lines what that means.

    Args:
        task: The task.
        submission: The file that it exports, or a folder with all its files.
        shared: Folder of raw data sets; an empty one by default.
        seconds: Wall time of each script.
        environment: Further variables for the scripts of a built-in task.

    Raises:
        UserError: there is no such submission, the scorer refuses it, or a script fails; one line.
    """
    submit = _submit(task, submission)
    with tempfile.TemporaryDirectory(prefix="aira-score-") as scratch:
        trial = trial_of(task, shared, Path(scratch), seconds, environment)
        try:
            trial.prepare()
            trial.measure()
            score = trial.score(submit)
        except InvalidSubmission as refusal:
            raise UserError(f"{submission}: refused by the task: {refusal.reason}") from None
        except ScriptFailure as failure:
            raise UserError(f"{task.path}: {failure}; try it with `aira tasks check`") from None
    yield from score_lines(task, score)


def _submit(task: TaskFolder, submission: Path) -> Submit:
    patterns = task.metadata.file_export_globs
    if submission.is_dir():
        return lambda log: copy_exports(task, submission, log)
    if not submission.is_file():
        raise UserError(f"{submission}: no such file or folder; name the submission, {', '.join(patterns)}")
    if len(patterns) > 1:
        raise UserError(f"{submission}: the task exports {', '.join(patterns)}; name the folder that holds them")
    content = submission.read_bytes()
    return lambda log: _write(log / patterns[0], content)


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def score_lines(task: TaskFolder, score: float) -> Iterator[str]:
    """What a score means, in lines: beside the published best, and normalised."""
    direction = "lower" if task.metadata.metric_lower_is_better else "higher"
    yield f"{task.metric}: {score:.6g} ({direction} is better)"
    for best in task.metadata.logging_info.sota:
        yield f"published best: {best.sota_score:g} ({best.sota_paper_url})"
    normalised = normalised_score(score, task.metadata)
    if normalised is not None:
        yield (
            f"normalised score: {normalised:.3f} (1 is the published best, 0 estimated_worst_score; AIRS-Bench takes "
            "the worst of all its agents instead)"
        )
    if beyond := beyond_optimum(score, task.metadata):
        yield f"mind: {beyond}; metadata.yaml or the scorer is wrong"
