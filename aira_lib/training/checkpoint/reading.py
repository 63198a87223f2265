"""The newest checkpoint that is whole, read by one process, whoever wrote it."""

import logging
from collections.abc import Collection, Sequence
from pathlib import Path

from aira_lib.training.checkpoint import canonical
from aira_lib.training.checkpoint.canonical import Part
from aira_lib.training.checkpoint.manifest import (
    FOLDER,
    Unusable,
    finished_steps,
    folder_of,
    is_of_ranks,
    listed_files,
    names_by_part,
    verify,
    verify_beside,
)

_log = logging.getLogger(__name__)


def latest(
    workspace: Path, parts: Collection[str] | None = None, beside: Collection[str] = ()
) -> tuple[int, dict[str, Part]] | None:
    """Load the newest checkpoint that is whole, on the CPU, each part's shards put together.

    What is damaged is named in a warning, and the checkpoint before it is used.

    Args:
        workspace: the folder that holds the checkpoints.
        parts: which to read; the files of others may be damaged or missing. None: all.
        beside: names of files of the workspace that must begin as when the checkpoint was saved.

    Returns:
        (step, state by part), or None when there is none.
    """
    problems = 0
    for step in reversed(finished_steps(workspace)):
        folder = folder_of(workspace, step)
        try:
            files = listed_files(folder, step, parts)
            verify(folder, (file for each in files.values() for file in each))
            verify_beside(workspace, step, beside)
        except Unusable as problem:
            problems += 1
            tell_unusable(folder, str(problem))
        else:
            return step, {part: _read(folder, part, names) for part, names in names_by_part(files).items()}
    if problems:
        tell_none_left(workspace)
    return None


def tell_unusable(folder: Path, problem: str) -> None:
    """Warn that a checkpoint is damaged, and say what is done."""
    _log.warning("%s: %s; the checkpoint before it is used", folder, problem)


def tell_none_left(workspace: Path) -> None:
    """Warn that all checkpoints are damaged."""
    _log.warning("%s: no whole checkpoint is left; nothing is resumed from it", workspace / FOLDER)


def _read(folder: Path, part: str, names: Sequence[str]) -> Part:
    if is_of_ranks(names):
        from aira_lib.training.checkpoint import dcp

        return dcp.read_part(folder / part)
    return canonical.read_part(folder, names)
