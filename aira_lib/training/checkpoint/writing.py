"""What every save does around the files of the parts, whoever writes those."""

import logging
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from aira_lib.records import FileEntry
from aira_lib.store.base import MANIFEST
from aira_lib.store.files import write_file
from aira_lib.training.checkpoint.manifest import CheckpointManifest, PartFile, folder_of, name_in_store
from aira_lib.training.checkpoint.pushing import Pushing
from aira_lib.training.checkpoint.retention import drop, drop_later

_log = logging.getLogger(__name__)


def clear(workspace: Path, pushing: Pushing, step: int) -> Path:
    """Remove what an earlier save left for a step, whole or not, and return the folder, which is gone."""
    folder = folder_of(workspace, step)
    if folder.exists():
        drop(workspace, pushing, step)
    return folder


@contextmanager
def beginning(workspace: Path, pushing: Pushing, step: int) -> Iterator[Path]:
    """The folder for the files of a step; gone where the block fails: a disk that is full need not hold half of it."""
    folder = clear(workspace, pushing, step)
    try:
        yield folder
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def finish(
    workspace: Path, pushing: Pushing, step: int, files: Sequence[PartFile], beside: Sequence[FileEntry]
) -> None:
    """Write the manifest, let all be pushed, the manifest last, and remove the checkpoints of later steps.

    Those could not be resumed from: the run has gone on before them.

    Args:
        workspace: the record's workspace.
        pushing: what the store does not have yet.
        step: of the checkpoint.
        files: all of its files.
        beside: files of the workspace without which it is of no use, as they were at its step.

    Raises:
        StoreError: the disk refuses.
    """
    folder = folder_of(workspace, step)
    manifest = CheckpointManifest(step=step, files=tuple(files), beside=tuple(beside))
    write_file(folder / MANIFEST, manifest.json_line().encode())
    pushing.copy(file.name for file in beside)
    pushing.copy(name_in_store(folder, name) for name in (*(file.name for file in files), MANIFEST))
    drop_later(workspace, pushing, step)


def tell_not_finite(step: int, place: str) -> None:
    """Warn that a state was not saved."""
    _log.warning("step %d: %s is not finite; no checkpoint is saved of it, the one before stays", step, place)
