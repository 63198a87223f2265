"""Tensors as safetensors files, several by an index where one would be too large."""

import json
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from aira_lib.exchange.safetensors_folder import INDEX

MOST_BYTES = 5 * 10**9
"""Of one file; a larger tensor has one of its own."""


def write_weights(folder: Path, tensors: dict[str, Tensor], told: Mapping[str, str], most: int = MOST_BYTES) -> None:
    """Write all tensors into a folder.

    Args:
        folder: where.
        tensors: by name; no two may share memory.
        told: what the header of each file says besides.
        most: bytes of a file.
    """
    from huggingface_hub import split_torch_state_dict_into_shards
    from safetensors.torch import save_file

    split = split_torch_state_dict_into_shards(
        tensors, filename_pattern="model{suffix}.safetensors", max_shard_size=most
    )
    for file, names in split.filename_to_tensors.items():
        save_file({name: tensors[name].contiguous() for name in names}, folder / file, {"format": "pt", **told})
    if split.is_sharded:
        index = {"metadata": split.metadata, "weight_map": split.tensor_to_filename}
        (folder / INDEX).write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")
