"""Tensors of a folder of safetensors files, one or several by an index: headers first, each one when asked for."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from aira_lib.errors import MissingDependency, UserError

WHOLE, INDEX = "model.safetensors", "model.safetensors.index.json"
FLOATING = ("F64", "F32", "F16", "BF16")
_ENDINGS_OF_PICKLES = ("*.bin", "*.pt", "*.pth")


class SafetensorsFolder(Mapping[str, Tensor]):
    """The tensors of a checkpoint by name; they are read anew each time.

    Args:
        folder: has ``model.safetensors``, or several files and their index.

    Attributes:
        files: names of the files, sorted.
        shapes: of all tensors.

    Raises:
        UserError: no such files, one that is cut off or is none, weights that are no floating-point numbers.
        MissingDependency: without the package safetensors.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        names = _files_by_tensor(folder)
        self.files = tuple(sorted(set(names.values()) if names else {WHOLE}))
        self.shapes: dict[str, tuple[int, ...]] = {}
        self._places: dict[str, str] = {}
        for file in self.files:
            self._look_into(file)
        if lacking := sorted(names.keys() - self.shapes.keys()):
            raise UserError(f"{folder / INDEX}: names {lacking[0]}, which no file has; fetch the checkpoint again")

    def __getitem__(self, name: str) -> Tensor:
        with _opened(self._folder / self._places[name]) as file:
            tensor: Tensor = file.get_tensor(name)
            return tensor

    def __iter__(self) -> Iterator[str]:
        return iter(self.shapes)

    def __len__(self) -> int:
        return len(self.shapes)

    def _look_into(self, name: str) -> None:
        path = self._folder / name
        with _opened(path) as file:
            for tensor in file.keys():  # noqa: SIM118  (it is no mapping)
                piece = file.get_slice(tensor)
                if piece.get_dtype() not in FLOATING and not tensor.endswith("inv_freq"):
                    raise UserError(
                        f"{path}: {tensor} is of type {piece.get_dtype()}; weights of {', '.join(FLOATING)} can be read"
                    )
                self.shapes[tensor], self._places[tensor] = tuple(piece.get_shape()), name


def _files_by_tensor(folder: Path) -> dict[str, str]:
    """The file of each tensor, as the index says; empty where there is one file alone."""
    if (folder / WHOLE).is_file():
        return {}
    if not (folder / INDEX).is_file():
        pickles = next((path.name for end in _ENDINGS_OF_PICKLES for path in sorted(folder.glob(end))), None)
        also = f" ({pickles} is a pickle, which could run code: save it as safetensors)" if pickles else ""
        raise UserError(f"{folder}: neither {WHOLE} nor {INDEX} is there{also}")
    try:
        names = json.loads((folder / INDEX).read_text(encoding="utf-8"))["weight_map"]
        found = {str(tensor): str(file) for tensor, file in names.items()}
    except (ValueError, LookupError, TypeError, AttributeError):
        raise UserError(f"{folder / INDEX}: not an index of safetensors; fetch the checkpoint again") from None
    for file in sorted(set(found.values())):
        if Path(file).name != file or not (folder / file).is_file():
            raise UserError(f"{folder / INDEX}: names {file}, which is not in the folder; fetch the checkpoint again")
    return found


def _opened(path: Path) -> Any:
    try:
        from safetensors import SafetensorError, safe_open
    except ModuleNotFoundError:
        raise MissingDependency(f"{path}", "eval") from None
    try:
        return safe_open(path, framework="pt")
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path}: not a whole safetensors file ({error}); fetch it again") from None
