"""Which checkpoints stay."""

import shutil
from collections.abc import Collection
from pathlib import Path

from aira_lib.store.base import MANIFEST, is_temporary
from aira_lib.store.files import disk_errors
from aira_lib.training.checkpoint.manifest import finished_steps, folder_of, name_in_store, steps_in
from aira_lib.training.checkpoint.pushing import Push, Pushing


def prune(workspace: Path, push: Push, keep: int = 1, keep_steps: Collection[int] = ()) -> None:
    """Remove all checkpoints but the newest `keep` (1 or more) finished ones, in the workspace and in the store.

    Args:
        workspace: the record's workspace.
        push: see `Push`.
        keep: how many of the newest stay.
        keep_steps: steps whose checkpoints stay in any case.

    Raises:
        StoreError: disk or store refuse.
    """
    pushing = Pushing(push)
    drop_old(workspace, pushing, keep, keep_steps)
    pushing.flush()


def drop_old(workspace: Path, pushing: Pushing, keep: int, keep_steps: Collection[int] = ()) -> None:
    """`prune` in the workspace; the store follows at the next flush.

    Only finite states are saved, so the newest checkpoint, which always stays, is the last finite one.
    """
    staying = {*finished_steps(workspace)[-keep:], *keep_steps}
    for step in steps_in(workspace):
        if step not in staying:
            drop(workspace, pushing, step)


def drop_later(workspace: Path, pushing: Pushing, step: int) -> None:
    """Remove the checkpoints of later steps, which could not be resumed from: the run has gone on before them."""
    for other in steps_in(workspace):
        if other > step:
            drop(workspace, pushing, other)


def drop(workspace: Path, pushing: Pushing, step: int) -> None:
    """Remove a checkpoint, its manifest first: what is left after a crash is not taken for a checkpoint."""
    folder = folder_of(workspace, step)
    with disk_errors(folder):
        names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
        (folder / MANIFEST).unlink(missing_ok=True)
        shutil.rmtree(folder)
    pushed = [name for name in names if not is_temporary(name) and name != MANIFEST]
    pushing.remove(name_in_store(folder, name) for name in (MANIFEST, *pushed))
