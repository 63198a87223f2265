"""Checkpoints of ranks on several nodes, which have no common disk: the store is where they are whole.

Each rank pushes the files that it has written, and only when those of all are in the store does rank 0 write the
manifest there. Reading begins with a copy of all files on each node, which its ranks fetch in shares: a part is read by
whoever needs a piece of it, whichever rank wrote that.
"""

import logging
import shutil
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from aira_lib.errors import StoreError, UserError
from aira_lib.records import FileEntry
from aira_lib.store.base import MANIFEST
from aira_lib.store.files import write_file
from aira_lib.training.checkpoint.canonical import Part, not_finite
from aira_lib.training.checkpoint.manifest import (
    CheckpointManifest,
    PartFile,
    folder_of,
    name_in_store,
    steps_in,
)
from aira_lib.training.checkpoint.pushing import PATIENCE, Pushing
from aira_lib.training.checkpoint.sharded import SILENCE, ShardedCheckpoints
from aira_lib.training.shared_folder import Spread

_log = logging.getLogger(__name__)


class SpreadCheckpoints(ShardedCheckpoints):
    """`ShardedCheckpoints` of ranks whose workspaces are folders of their nodes."""

    def __init__(
        self, workspace: Path, spread: Spread, keep: int = 2, keep_steps: Collection[int] = (),
        beside: Sequence[str] = (), patience: float = PATIENCE, silence: float = SILENCE,
    ) -> None:  # fmt: skip
        """Make the process groups; nothing is read or written yet.

        Args:
            workspace: a folder that the ranks of this node see.
            spread: where they meet those of the others.
            keep: see `ShardedCheckpoints`.
            keep_steps: see there.
            beside: see there; they are rank 0's.
            patience: seconds without any success after which a checkpoint is given up for its files' sake.
            silence: see there.
        """
        super().__init__(workspace, keep=keep, keep_steps=keep_steps, beside=beside, silence=silence)
        self._spread, self._patience = spread, patience

    @property
    def _first_of_node(self) -> bool:
        return self._spread.local_rank == 0

    # --- writing -----------------------------------------------------------------------------------------------------

    def _prepare(self, step: int, parts: Mapping[str, Part]) -> str | None:
        if self._first:
            self._still_ours()
            self._spread.folder.drop([step])
        if self._first_of_node:
            shutil.rmtree(folder_of(self.workspace, step), ignore_errors=True)
        return not_finite(parts)

    def _still_ours(self) -> None:
        """Whoever removes a record, and makes it anew, makes this training another's."""
        if self._spread.folder.spec().token != self._spread.token:
            raise UserError(f"{self._spread.folder.uri} is another training's now; this one ends")

    def _keep_written(
        self, step: int, files: Sequence[Sequence[PartFile]], beside: Sequence[FileEntry], push: bool
    ) -> bool:
        folder = folder_of(self.workspace, step)
        own = [name_in_store(folder, file.name) for file in files[self._work.rank]]
        refused = next((words for words in self._work.gather(self._refused(own)) if words), None)
        if refused is None:
            everything = tuple(file for each in files for file in each)
            manifest = CheckpointManifest(step=step, files=everything, beside=tuple(beside))
            refused = self._work.gather(self._finished(folder, manifest) if self._first else None)[0]
        if refused is not None:
            self._forget([step])
            if not push:
                raise StoreError(refused)
            if self._first:
                _log.warning("the checkpoint of step %d is not in the store: %s; the next one is tried", step, refused)
            return False
        self._drop_old(step)
        return True

    def _refused(self, names: Sequence[str]) -> str | None:
        """Push files; why the store refuses, in words."""
        pushing = Pushing(lambda name: self._spread.folder.put(self.workspace, [name]), self._patience)
        pushing.copy(names)
        try:
            pushing.flush()
        except StoreError as error:
            return str(error)
        return None

    def _finished(self, folder: Path, manifest: CheckpointManifest) -> str | None:
        """Write the manifest, and push it last; why the store refuses, in words."""
        write_file(folder / MANIFEST, manifest.json_line().encode())
        return self._refused([*self._beside, name_in_store(folder, MANIFEST)])

    def _drop_old(self, step: int) -> None:
        """Keep the newest ones in the store; a node needs none of its own but the last."""
        if self._first:
            try:
                steps = self._spread.folder.steps()
                staying = {*[each for each in steps if each <= step][-self._keep :], *self._keep_steps}
                self._spread.folder.drop([each for each in steps if each not in staying or each > step])
            except StoreError as error:
                _log.warning("old checkpoints stay in the store: %s", error)
        self._forget([each for each in steps_in(self.workspace) if each != step])

    def _forget(self, steps: Sequence[int]) -> None:
        """Remove a node's files of checkpoints."""
        if self._first_of_node:
            for step in steps:
                shutil.rmtree(folder_of(self.workspace, step), ignore_errors=True)

    # --- reading -----------------------------------------------------------------------------------------------------

    def _steps(self) -> list[int]:
        return self._talk.together(lambda: self._spread.folder.steps() if self._first else [])[0]

    @property
    def _share(self) -> slice:
        return slice(self._spread.local_rank, None, self._spread.local_ranks)

    def _problem(self, folder: Path, step: int, parts: Collection[str]) -> str | None:
        """Fetch a checkpoint, each rank its share of a node's files, and compare it."""
        # A rank looks at the files of its node only when all of them are there.
        problem = next((words for words in self._talk.gather(self._fetched(folder, step)) if words), None)
        return problem or super()._problem(folder, step, parts)

    def _fetched(self, folder: Path, step: int) -> str | None:
        """Fetch this rank's share; why that cannot be, in words."""
        shared = self._spread.folder
        try:
            manifest = shared.manifest(step)
            names = [name_in_store(folder, file.name) for file in manifest.files] if manifest else []
            shared.get(self.workspace, names[self._share])
            if self._first_of_node:
                shared.get(self.workspace, [name_in_store(folder, MANIFEST)])
            if self._first:
                shared.get(self.workspace, self._beside)
        except StoreError as error:
            return str(error)
        return None
