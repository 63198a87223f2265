"""The files of one process: parts in a canonical form, whose bytes depend on nothing but the state."""

import re
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aira_lib.store.files import file_entry, replacing
from aira_lib.training.checkpoint.manifest import PartFile, shard_name

if TYPE_CHECKING:
    from torch import Tensor

Part = dict[str, Any]
"""Dictionaries, lists and tuples of tensors, strings and numbers."""
Shards = Sequence[Part]
"""A part in one or more pieces, which have no key in common."""


def check_part(part: str, shards: Sequence[Mapping[str, Any]]) -> None:
    """Refuse what could not be written or read again.

    Raises:
        ValueError: the part has an odd name, no shard, or a key in two of them.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_-]*", part):
        raise ValueError(f"a part of a checkpoint cannot be called {part!r}: it names files")
    if not shards:
        raise ValueError(f"part {part!r} of a checkpoint has no shard")
    twice = [key for key, times in Counter(key for shard in shards for key in shard).items() if times > 1]
    if twice:
        raise ValueError(f"part {part!r} of a checkpoint has {twice[0]!r} in two shards")


def snapshot(state: Mapping[str, Shards]) -> dict[str, list[Part]]:
    """Copy a state to the CPU, so that training may go on while it is written; in its canonical form.

    Raises:
        TypeError: the state holds something that is not plain data.
        ValueError: there is no part, or one has an odd name, no shard, or a key in two of them.
    """
    if not state:
        raise ValueError("a checkpoint needs a part")
    for part, shards in state.items():
        check_part(part, shards)
    return {part: [_Copy().of(shard, part) for shard in shards] for part, shards in state.items()}


class _Copy:
    """A copy without what a run's history leaves in a state: shared strings, autograd, devices, views of buffers.

    Pickle writes an object that it meets twice as a reference, so equal states would give different bytes. What shares
    its memory by intent, such as tied weights, shares it in the copy.
    """

    def __init__(self) -> None:
        self._copies: dict[tuple[Any, ...], Tensor] = {}

    def of(self, value: Any, place: str) -> Any:
        """The copy of a value; `place` names it in errors."""
        import torch

        match value:
            case torch.Tensor():
                return self._tensor(value)
            case dict():
                return {self.of(key, place): self.of(each, f"{place}[{key!r}]") for key, each in value.items()}
            case list():
                return [self.of(each, f"{place}[{i}]") for i, each in enumerate(value)]
            case tuple():
                return tuple(self.of(each, f"{place}[{i}]") for i, each in enumerate(value))
            case str():
                return sys.intern(str(value))
            case bool() | None:
                return value
            case int():
                return int(value)
            case float():
                return float(value)
        raise TypeError(f"{place} is a {type(value).__name__}: a checkpoint holds tensors, strings, numbers and None")

    def _tensor(self, value: "Tensor") -> "Tensor":
        key = (str(value.device), value.data_ptr(), value.dtype, value.shape, value.stride())
        if not value.numel() or key not in self._copies:
            self._copies[key] = value.detach().to("cpu", copy=True)
        return self._copies[key].detach()


def not_finite(state: Mapping[str, Any]) -> str | None:
    """The place of a tensor that holds an infinity or no number, such as ``model[0]['w']``; None where all are finite.

    Of a tensor that is spread over ranks, this rank's piece counts.
    """
    found = ((part, at, tensor) for part, value in state.items() for at, tensor in _tensors(value, ""))
    return next((f"{part}{at}" for part, at, tensor in found if not bool(tensor.isfinite().all())), None)


def _tensors(value: Any, place: str) -> "Iterator[tuple[str, Tensor]]":
    import torch

    match value:
        case torch.Tensor() if value.is_floating_point():
            yield place, getattr(value, "_local_tensor", value)
        case dict():
            for key, each in value.items():
                yield from _tensors(each, f"{place}[{key!r}]")
        case list() | tuple():
            for number, each in enumerate(value):
                yield from _tensors(each, f"{place}[{number}]")


def write_part(folder: Path, part: str, shards: Shards) -> list[PartFile]:
    """Write the files of a part, each whole or not at all, and measure them.

    Raises:
        StoreError: the disk refuses.
    """
    return [_write_shard(folder, part, number, shards) for number in range(len(shards))]


def _write_shard(folder: Path, part: str, number: int, shards: Shards) -> PartFile:
    import torch

    name = shard_name(part, number, len(shards))
    with replacing(folder / name) as handle:
        try:
            torch.save(shards[number], handle)
        except RuntimeError as error:
            if isinstance(error.__context__, OSError):  # torch hides a full disk behind "unexpected pos"
                raise error.__context__ from None
            raise
    return PartFile(**file_entry(folder / name, name).model_dump(), part=part)


def read_part(folder: Path, names: Sequence[str]) -> Part:
    """Put the shards of a part together, on the CPU. Their hashes must have been found right."""
    import torch

    whole: Part = {}
    for name in names:
        whole |= torch.load(folder / name, map_location="cpu", weights_only=True)
    return whole
