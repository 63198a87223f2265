"""A part as torch.distributed.checkpoint writes it: a folder with a file a rank, and `.metadata`.

The library checks no hash, and its `.metadata` is a pickle. So the caller compares all files with the manifest first,
and what is read here can name no class but those that such a file needs.
"""

import pickle
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from enum import EnumMeta
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import torch
from torch.distributed.checkpoint._nested_dict import unflatten_state_dict
from torch.distributed.checkpoint._traverse import set_element
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.default_planner import DefaultLoadPlanner
from torch.distributed.checkpoint.filesystem import FileSystemReader, FileSystemWriter
from torch.distributed.checkpoint.metadata import STORAGE_TYPES, BytesStorageMetadata, Metadata, StorageMeta
from torch.distributed.checkpoint.planner import ReadItem
from torch.distributed.checkpoint.state_dict_loader import load
from torch.distributed.checkpoint.state_dict_saver import save

from aira_lib.training.checkpoint.canonical import Part
from aira_lib.training.checkpoint.manifest import METADATA

if TYPE_CHECKING:
    import io

    from torch.distributed import ProcessGroup

_ALLOWED = {
    ("torch", "Size"),
    ("torch.serialization", "_get_layout"),
    ("torch.distributed.checkpoint.filesystem", "_StorageInfo"),
    *(
        ("torch.distributed.checkpoint.metadata", name)
        for name in (
            "BytesStorageMetadata", "ChunkStorageMetadata", "Metadata", "MetadataIndex", "StorageMeta",
            "TensorProperties", "TensorStorageMetadata", "_MEM_FORMAT_ENCODING",
        )
    ),
}  # fmt: skip


def write_part(folder: Path, part: Part, group: "ProcessGroup | None") -> None:
    """Write a part together with the other ranks of a group, each its own pieces; what all have is written once.

    Args:
        folder: a new folder that all ranks see.
        part: nested dictionaries and lists of DTensors, tensors that are equal on all ranks, strings and numbers.
        group: of this call alone while it lasts; None: this process writes all.

    Raises:
        CheckpointException: a rank failed; all ranks raise it. It is no `Exception`.
    """
    with _quiet():
        save(part, storage_writer=_Writer(folder), process_group=group, no_dist=group is None)


def read_into(folder: Path, part: Part, group: "ProcessGroup | None") -> None:
    """Fill a part in place, whatever number of ranks wrote it, together with the other ranks of a group.

    Args:
        folder: what `write_part` wrote; its files must have been compared with the manifest.
        part: of the same keys and shapes; its values are overwritten.
        group: as in `write_part`.

    Raises:
        CheckpointException: a rank failed, as where the part has another shape; all ranks raise it.
    """
    with _quiet():
        load(
            part,
            storage_reader=_Reader(folder),
            planner=_Planner(),
            process_group=group,
            no_dist=group is None,
        )


def read_part(folder: Path) -> Part:
    """Read a whole part on the CPU of one process. Its files must have been compared with the manifest."""
    metadata = _Reader(folder).read_metadata()
    flat: Part = {name: _empty(stored) for name, stored in metadata.state_dict_metadata.items()}
    try:
        with _quiet():
            load(flat, storage_reader=_Reader(folder), planner=_Planner(flatten_state_dict=False), no_dist=True)
    except CheckpointException as error:  # no `Exception`
        ((reason, _),) = error.failures.values()
        raise reason from None
    return unflatten_state_dict(flat, metadata.planner_data)


def _empty(stored: STORAGE_TYPES) -> torch.Tensor | None:
    if isinstance(stored, BytesStorageMetadata):
        return None
    return torch.empty(stored.size, dtype=stored.properties.dtype)


class _Writer(FileSystemWriter):
    """Writes the same bytes for the same state: no path and no random name of the save."""

    def storage_meta(self) -> StorageMeta | None:
        return None


class _Reader(FileSystemReader):
    def read_metadata(self, *args: Any, **kwargs: Any) -> Metadata:
        with (Path(self.path) / METADATA).open("rb") as file:
            metadata = _Unpickler(file).load()
        assert isinstance(metadata, Metadata)
        metadata.storage_meta = StorageMeta(load_id=self.load_id)
        return metadata


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: IO[bytes]) -> None:
        super().__init__(file)

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _ALLOWED:
            return super().find_class(module, name)
        if (module, name) == ("builtins", "getattr"):
            return _member
        if module == "torch" and isinstance(found := getattr(torch, name, None), torch.dtype):
            return found
        raise pickle.UnpicklingError(f"{METADATA} names {module}.{name}, which no checkpoint needs")


def _member(of: Any, name: Any) -> Any:
    """A member of an Enum, which Python before 3.11.4 pickles as an attribute of its class."""
    if isinstance(of, EnumMeta) and name in of.__members__:
        return of[name]
    raise pickle.UnpicklingError(f"{METADATA} wants {name!r} of {of!r}, which no checkpoint needs")


class _Planner(DefaultLoadPlanner):
    def load_bytes(self, read_item: ReadItem, value: "io.BytesIO") -> None:
        name, loaded = read_item.dest_index.fqn, torch.load(value, weights_only=True)
        if self.flatten_state_dict:
            set_element(self.original_state_dict, self.mappings[name], loaded)
        else:
            self.original_state_dict[name] = loaded


@contextmanager
def _quiet() -> Iterator[None]:
    """One process that reads or writes alone knows that it is alone."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="torch.distributed is disabled")
        yield
