"""Checkpoints of one process, written while training goes on."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from aira_lib.records import FileEntry
from aira_lib.training.checkpoint.background import Background, InBackground
from aira_lib.training.checkpoint.canonical import Part, Shards, not_finite, snapshot, write_part
from aira_lib.training.checkpoint.manifest import measured_beside
from aira_lib.training.checkpoint.pushing import PATIENCE, Push, Pushing
from aira_lib.training.checkpoint.reading import latest
from aira_lib.training.checkpoint.retention import drop_old
from aira_lib.training.checkpoint.writing import beginning, finish, tell_not_finite


class Checkpoints(InBackground):
    """The checkpoints of a run, one save at a time.

    `save` copies the state, then a thread writes, hashes and pushes it; what goes wrong there is raised by the next
    call. A store that refuses for a while stops no training: its files are pushed with the next checkpoint, and only
    when the run ends (`wait`) must all be there. At the end of a ``with`` block `wait` is called, unless it ends by an
    error.
    """

    def __init__(
        self,
        workspace: Path,
        push: Push = lambda name: None,
        keep: int = 2,
        keep_steps: Collection[int] = (),
        beside: Sequence[str] = (),
        patience: float = PATIENCE,
    ) -> None:
        """Nothing is read or written yet.

        Args:
            workspace: the record's workspace (`aira_lib.store.Attempt.path`).
            push: makes the store's copy of a file equal to the workspace's (`Attempt.push`); called by the thread.
            keep: how many of the newest checkpoints stay, 1 or more.
            keep_steps: steps whose checkpoints stay in any case, such as those from which other runs branch.
            beside: files of the workspace, such as the loss curve, that only grow; pushed before each manifest, which
                has their hashes: a checkpoint beside which they do not begin as they were is not used.
            patience: seconds without any success after which a push is put off.
        """
        self.workspace = workspace
        self._keep, self._keep_steps = keep, frozenset(keep_steps)
        self._beside = tuple(beside)
        self._pushing = Pushing(push, patience)
        self._background: Background[bool] = Background("checkpoint")

    def save(self, step: int, state: Mapping[str, Shards], asynchronous: bool = True) -> bool:
        """Save the state of a step, unless it is not finite.

        Checkpoints of later steps are removed: they are what could not be resumed from.

        Args:
            step: number of finished training steps.
            state: the shards of each part.
            asynchronous: return as soon as the state is copied; False while the save before is still going on, for
                then nothing is done. Else wait for that, and return when the checkpoint is in the store.

        Returns:
            Whether the state is being saved, or, not asynchronous, is saved.

        Raises:
            LostClaim: another has taken over the record.
            StoreError: disk or store refuse, now or at the save before.
            TypeError: the state holds something that is not plain data.
            ValueError: there is no part, or one has an odd name, no shard, or a key in two of them.
        """
        if asynchronous and self._background.busy:
            return False
        self._background.collect()
        copy, beside = snapshot(state), measured_beside(self.workspace, self._beside)
        if not asynchronous:
            return self._write(step, copy, beside) and self._pushing.flush()
        self._background.start(lambda: self._write(step, copy, beside) and self._pushing.flush_or_put_off())
        return True

    def latest(self, parts: Collection[str] | None = None) -> tuple[int, dict[str, Part]] | None:
        """Load the newest checkpoint that is whole; see `aira_lib.training.checkpoint.latest`."""
        return latest(self.workspace, parts, self._beside)

    def wait(self) -> None:
        """Return when all that was saved is in the store.

        Raises:
            LostClaim: another has taken over the record.
            StoreError: disk or store refuse.
        """
        self._background.collect()
        self._pushing.flush()

    def _write(self, step: int, state: Mapping[str, Shards], beside: Sequence[FileEntry]) -> bool:
        """Write a checkpoint into the workspace and remove those that need not stay; False where it is not finite."""
        bad = not_finite({part: list(shards) for part, shards in state.items()})
        if bad:
            tell_not_finite(step, bad)
            return False
        with beginning(self.workspace, self._pushing, step) as folder:
            files = [file for part, shards in state.items() for file in write_part(folder, part, shards)]
        finish(self.workspace, self._pushing, step, files, beside)
        drop_old(self.workspace, self._pushing, self._keep, self._keep_steps)
        return True
