"""Checkpoints that all ranks of a run write together, while training goes on.

Each rank writes its pieces of a part, and reports success or what failed; only after the success of all does rank 0
write the manifest and push the files. A rank that fails tells so at once, so that the others never wait for it.
"""

import shutil
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch.distributed.checkpoint.staging import DefaultStager, StagingOptions

from aira_lib.records import FileEntry
from aira_lib.store.files import file_entry
from aira_lib.training.checkpoint import dcp
from aira_lib.training.checkpoint.background import Background, InBackground
from aira_lib.training.checkpoint.canonical import Part, Shards, check_part, not_finite
from aira_lib.training.checkpoint.group import RankGroup
from aira_lib.training.checkpoint.manifest import (
    METADATA,
    PartFile,
    Unusable,
    finished_steps,
    folder_of,
    is_of_ranks,
    listed_files,
    measured_beside,
    verify,
    verify_beside,
)
from aira_lib.training.checkpoint.pushing import PATIENCE, Push, Pushing
from aira_lib.training.checkpoint.reading import tell_none_left, tell_unusable
from aira_lib.training.checkpoint.retention import drop_old
from aira_lib.training.checkpoint.writing import clear, finish, tell_not_finite

SILENCE = 600.0
"""Seconds after which a rank that says nothing is taken for dead."""

LONGEST_PAUSE = 2.0
"""Seconds after which ranks that wait for a save ask each other again."""


class ShardedCheckpoints(InBackground):
    """The checkpoints of a run of several ranks: `aira_lib.training.checkpoint.Checkpoints`, but collective.

    All ranks call each method at the same step, whatever their clocks say; what goes wrong on one is raised on all.
    Without torch.distributed the process is the only rank.
    """

    def __init__(
        self,
        workspace: Path,
        push: Push = lambda name: None,
        keep: int = 2,
        keep_steps: Collection[int] = (),
        beside: Sequence[str] = (),
        patience: float = PATIENCE,
        silence: float = SILENCE,
    ) -> None:
        """Make the process groups; nothing is read or written yet.

        Args:
            workspace: the record's workspace, a folder that all ranks see.
            push: of rank 0, which pushes the files of all; that of others is not called.
            keep: how many of the newest checkpoints stay, 1 or more.
            keep_steps: steps whose checkpoints stay in any case.
            beside: files of the workspace, such as the loss curve, that only grow; pushed before each manifest, which
                has their hashes: a checkpoint beside which they do not begin as they were is not used.
            patience: seconds without any success after which a push is put off.
            silence: seconds for which a rank waits for another.
        """
        self.workspace = workspace
        self._keep, self._keep_steps = keep, frozenset(keep_steps)
        self._beside = tuple(beside)
        self._pushing = Pushing(push, patience)
        self._background: Background[bool] = Background("checkpoint")
        self._talk, self._work = (
            RankGroup(silence),
            RankGroup(silence),
        )  # of the caller's thread, and of the one that writes
        # The copy of a state lies in the memory of the one before, which has been written by then.
        self._stager = DefaultStager(StagingOptions(torch.cuda.is_available(), False, False, False))

    @property
    def _first(self) -> bool:
        return self._talk.rank == 0

    def save(self, step: int, state: Mapping[str, Shards], asynchronous: bool = True) -> bool:
        """Save the state of a step, unless it is not finite on some rank; see `Checkpoints.save`.

        Args:
            step: number of finished training steps.
            state: the parts: nested dictionaries and lists of DTensors, tensors that are equal on all ranks, strings
                and numbers. The shards of a part are put together first; they need not be the ranks' pieces.
            asynchronous: return as soon as the state is copied; False while a rank still saves the one before.

        Returns:
            Whether the state is being saved, or, not asynchronous, is saved; the same on all ranks.

        Raises:
            LostClaim: another has taken over the record.
            StoreError: a rank's disk or the store refuse, now or at the save before.
            SilentRank: a rank ended or does not answer.
            TypeError: the state holds something that is not plain data.
            ValueError: there is no part, or one has an odd name, no shard, or a key in two of them.
        """
        if asynchronous and any(self._talk.gather(self._background.busy)):
            return False
        self._collect()
        copy: dict[str, Part] = {}
        self._talk.together(lambda: copy.update(self._staged(state)))
        beside = self._talk.together(lambda: measured_beside(self.workspace, self._beside) if self._first else [])[0]
        self._background.start(partial(self._write, step, copy, beside, asynchronous))
        return asynchronous or (self._collect() and self._flush())

    def latest(self, state: Mapping[str, Shards]) -> tuple[int, dict[str, Part]] | None:
        """Load the newest checkpoint that is whole into a state, whatever number of ranks wrote it.

        Args:
            state: the parts that are wanted, of the keys and shapes that were saved; overwritten in place. The files of
                other parts may be damaged or missing.

        Returns:
            (step, the parts, each in one piece), the same step on all ranks; None when there is no checkpoint.

        Raises:
            StoreError: the checkpoint is not one of such a state.
            SilentRank: a rank ended or does not answer.
        """
        parts = {part: _joined(part, shards) for part, shards in state.items()}
        steps = self._steps()
        for step in reversed(steps):
            folder = folder_of(self.workspace, step)
            problem = next((each for each in self._talk.gather(self._problem(folder, step, parts)) if each), None)
            if problem is None:
                self._talk.together(lambda: self._load(folder, parts), folder)  # noqa: B023  # called here
                return step, parts
            if self._first:
                tell_unusable(folder, problem)
        if steps and self._first:
            tell_none_left(self.workspace)
        return None

    def wait(self) -> None:
        """Return when all that was saved is in the store.

        Raises:
            LostClaim: another has taken over the record.
            StoreError: a rank's disk or the store refuse.
            SilentRank: a rank ended or does not answer.
        """
        self._collect()
        self._flush()

    def _collect(self) -> bool:
        """Whether the save of all ranks was good, which may take its time: only a rank that says nothing is silent."""
        pause = 0.01
        while not all(self._talk.gather(self._background.done_within(pause))):
            pause = min(2 * pause, LONGEST_PAUSE, self._talk.seconds / 8)
        return all(self._talk.together(self._background.collect))

    def _flush(self) -> bool:
        self._background.start(self._pushing.flush)  # that of other ranks is empty
        return self._collect()

    def _staged(self, state: Mapping[str, Shards]) -> dict[str, Part]:
        """A copy on the CPU of what this rank has, plain or in DTensors."""
        if not state:
            raise ValueError("a checkpoint needs a part")
        parts = {part: _joined(part, shards) for part, shards in state.items()}
        for part, value in parts.items():
            _check_plain(value, part)
        staged: dict[str, Part] = self._stager.stage(parts)  # type: ignore[assignment]  # no future: not asynchronous
        return staged

    # --- in the thread -----------------------------------------------------------------------------------------------

    def _write(self, step: int, parts: Mapping[str, Part], beside: Sequence[FileEntry], push: bool) -> bool:
        """Write a checkpoint together, and push it on demand; False where the state is not finite on some rank."""
        folder = folder_of(self.workspace, step)
        found = self._work.together(lambda: self._prepare(step, parts))
        bad = next((place for place in found if place), None)
        if bad:
            if self._first:
                tell_not_finite(step, bad)
            return False
        try:
            files = self._work.together(lambda: self._write_parts(folder, parts), folder)
        except Exception:
            if self._first:
                shutil.rmtree(folder, ignore_errors=True)
            raise
        return self._keep_written(step, files, beside, push)

    def _keep_written(
        self, step: int, files: Sequence[Sequence[PartFile]], beside: Sequence[FileEntry], push: bool
    ) -> bool:
        """Make a checkpoint of what all ranks have written; whether it is one.

        Args:
            step: of it.
            files: of each rank.
            beside: see `measured_beside`; of rank 0.
            push: whether the save goes on beside training, so that it pushes by itself.
        """
        if self._first:
            finish(self.workspace, self._pushing, step, [file for each in files for file in each], beside)
            drop_old(self.workspace, self._pushing, self._keep, self._keep_steps)
            if push:
                self._pushing.flush_or_put_off()
        return True

    def _prepare(self, step: int, parts: Mapping[str, Part]) -> str | None:
        """Remove what an earlier save left of a step; what of the state is not finite, in words."""
        if self._first:
            clear(self.workspace, self._pushing, step)
        return not_finite(parts)

    def _write_parts(self, folder: Path, parts: Mapping[str, Part]) -> list[PartFile]:
        """Write all parts with the other ranks; the files that are this one's."""
        files: list[PartFile] = []
        for part, value in parts.items():
            dcp.write_part(folder / part, value, self._work.group)
            own = sorted((folder / part).glob(f"__{self._work.rank}_*"))
            own += [folder / part / METADATA] if self._first else []
            files += [PartFile(**file_entry(path, f"{part}/{path.name}").model_dump(), part=part) for path in own]
        return files

    # --- reading -----------------------------------------------------------------------------------------------------

    def _steps(self) -> list[int]:
        """The steps of finished checkpoints, in rising order; the same on all ranks."""
        return self._talk.gather(finished_steps(self.workspace))[0]

    @property
    def _share(self) -> slice:
        """Which files of a checkpoint this rank looks after where it is read."""
        return slice(self._talk.rank, None, self._talk.world)

    def _problem(self, folder: Path, step: int, parts: Collection[str]) -> str | None:
        """Why a checkpoint cannot be used, in words; of its files each rank reads and hashes some."""
        try:
            files = listed_files(folder, step, parts)
            for part, each in files.items():
                if not is_of_ranks(file.name for file in each):
                    raise Unusable(f"{part!r} was written by one process alone")
            verify(folder, [file for each in files.values() for file in each][self._share])
            if self._first:
                verify_beside(self.workspace, step, self._beside)
        except Unusable as problem:
            return str(problem)
        return None

    def _load(self, folder: Path, parts: Mapping[str, Part]) -> None:
        for part, value in parts.items():
            dcp.read_into(folder / part, value, self._talk.group)


def _joined(part: str, shards: Shards) -> Part:
    check_part(part, shards)
    return {key: value for shard in shards for key, value in shard.items()}


def _check_plain(value: Any, place: str) -> None:
    """Refuse what would not come back as it was: the library writes a dictionary's numbers as places in a list."""
    match value:
        case dict():
            for key, each in value.items():
                if not isinstance(key, str):
                    raise TypeError(f"{place} has the key {key!r}: dictionaries that ranks save have names as keys")
                _check_plain(each, f"{place}[{key!r}]")
        case list() | tuple():
            for number, each in enumerate(value):
                _check_plain(each, f"{place}[{number}]")
        case torch.Tensor() | str() | bool() | int() | float() | None:
            return
        case _:
            raise TypeError(f"{place} is a {type(value).__name__}: a checkpoint holds tensors, strings, numbers, None")
