"""The folder of a store in which the nodes of a training meet: no disk is common to them, nor to who waits for them.

spec.json                 what is trained; its token says for whom
checkpoints/step_.../     as in a workspace; its manifest is written when the files of all nodes are there
loss.curve                of rank 0, as far as the newest checkpoint goes
told/<since>/             what rank 0 tells, from each start of its on: log.jsonl, warnings.jsonl
outcome.json              how the training ended; last
"""

import hashlib
import json
import logging
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import ValidationError

from aira_lib.device import DeviceKind, Kernels
from aira_lib.errors import StoreError
from aira_lib.records import FileEntry, PretrainPoint
from aira_lib.section import Section
from aira_lib.store import Store, open_store
from aira_lib.store.base import MANIFEST, is_temporary
from aira_lib.study import PretrainSection
from aira_lib.training.checkpoint.manifest import FOLDER, CheckpointManifest, folder_of, name_in_store
from aira_lib.training.curve import FILE
from aira_lib.training.outcome import Outcome

SPEC, OUTCOME, TOLD = "spec.json", "outcome.json", "told"

_log = logging.getLogger(__name__)
_OF_STEP = re.compile(rf"{FOLDER}/step_(\d{{8,}})/{re.escape(MANIFEST)}")


class NodesSpec(Section):
    """What all ranks of a training on several nodes are told.

    Attributes:
        token: Of the attempt at the record that begins it: a job of another token writes no more.
        section: Settings.
        point: What is trained.
        device: What each rank computes on: the CPU, or the GPU of its number.
        kernels: With which, as the record's name says.
    """

    token: str
    section: PretrainSection
    point: PretrainPoint
    device: DeviceKind
    kernels: Kernels


@dataclass(frozen=True)
class Spread:
    """A rank among those of several nodes.

    Attributes:
        folder: In which they meet.
        token: Of the training: see `NodesSpec`.
        local_rank: Its number on its node, from 0.
        local_ranks: How many there are on it.
    """

    folder: "SharedFolder"
    token: str
    local_rank: int
    local_ranks: int


class SharedFolder:
    """See the module's docstring. All methods raise `StoreError` where the store refuses."""

    def __init__(self, uri: str) -> None:
        """Open a folder.

        Args:
            uri: of it; nothing need be there.
        """
        self.uri = uri
        self.store: Store = open_store(uri)

    def begin(self, spec: NodesSpec) -> NodesSpec:
        """Leave a specification, unless there is one; the one that is there."""
        self.store.create(SPEC, spec.model_dump_json().encode())
        return self.spec()

    def spec(self) -> NodesSpec:
        """The specification.

        Raises:
            StoreError: there is none, or it is damaged.
        """
        try:
            return NodesSpec.model_validate_json(self.store.read(SPEC))
        except ValidationError:
            raise StoreError(f"{self.uri}/{SPEC}: damaged, or of another version; remove {self.uri}") from None

    def outcome(self) -> Outcome | None:
        """How the training ended; None: it has not."""
        if not self.store.exists(OUTCOME):
            return None
        return Outcome(**json.loads(self.store.read(OUTCOME)))

    def end(self, outcome: Outcome) -> None:
        """Say how the training ended."""
        self.store.write(OUTCOME, json.dumps(asdict(outcome)).encode())

    # --- checkpoints -------------------------------------------------------------------------------------------------

    def steps(self) -> list[int]:
        """The steps whose checkpoint is whole, in rising order."""
        return sorted(int(match[1]) for name in self.store.list(FOLDER) if (match := _OF_STEP.fullmatch(name)))

    def manifest(self, step: int) -> CheckpointManifest | None:
        """The manifest of a checkpoint; None where it is damaged."""
        try:
            return CheckpointManifest.model_validate_json(self.store.read(_name(step, MANIFEST)))
        except ValidationError:
            return None

    def entries(self, step: int) -> Iterator[FileEntry]:
        """The files of a checkpoint, as they are called here, its manifest last.

        Raises:
            StoreError: its manifest is damaged.
        """
        data = self.store.read(_name(step, MANIFEST))
        manifest = self.manifest(step)
        if manifest is None:
            raise StoreError(f"{self.uri}/{_name(step, MANIFEST)}: damaged; remove {self.uri} to train again")
        for file in manifest.files:
            yield FileEntry(name=_name(step, file.name), bytes=file.bytes, sha256=file.sha256)
        yield FileEntry(name=_name(step, MANIFEST), bytes=len(data), sha256=hashlib.sha256(data).hexdigest())

    def put(self, workspace: Path, names: Collection[str]) -> None:
        """Copy files of a workspace here, in this order."""
        for name in names:
            self.store.put(workspace / name, name)

    def get(self, workspace: Path, names: Collection[str]) -> None:
        """Copy files of this folder into a workspace."""
        for name in names:
            self.store.get(name, workspace / name)

    def put_checkpoint(self, workspace: Path, step: int) -> None:
        """Copy a whole checkpoint of a workspace, and the curve beside it, here; its manifest last."""
        folder = folder_of(workspace, step)
        paths = [path for path in sorted(folder.rglob("*")) if path.is_file() and not is_temporary(path.name)]
        names = [name_in_store(folder, path.relative_to(folder).as_posix()) for path in paths]
        names.sort(key=lambda name: name.endswith(f"/{MANIFEST}"))
        self.put(workspace, [FILE, *names])

    def drop(self, steps: Sequence[int]) -> None:
        """Remove checkpoints, whole or not."""
        for step in steps:
            self.store.remove(_name(step))

    # --- what is told ------------------------------------------------------------------------------------------------

    def told(self, name: str) -> list[str]:
        """The files of a name that rank 0 tells in, one of each start of its, the oldest first."""
        return [each for each in self.store.list(TOLD) if each.endswith(f"/{name}")]


def _name(step: int, *file: str) -> str:
    return "/".join([folder_of(Path(), step).as_posix(), *file])
