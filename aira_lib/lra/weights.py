"""Variables as a safetensors file: `params/encoder/Dense_0/kernel`, `batch_stats/...`, each under its path."""

from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from aira_lib.lra.program import Program, Variables, variables_of
from aira_lib.lra.refused import Refused

_SLACK = 2**20  # of a file beyond its numbers: names, shapes, alignment


def save_weights(path: Path, variables: Variables) -> None:
    """Write variables, whole or not at all.

    Raises:
        Refused: one of them is not finite.
    """
    flat = {name: np.asarray(jax.device_get(value), order="C") for name, value in flattened(variables).items()}
    for name, value in flat.items():
        if not np.isfinite(value.astype(np.float32)).all():
            raise Refused(f"weights {name} are not finite after training")
    partial = path.with_name(f".{path.name}.tmp")
    save_file(flat, partial)
    partial.replace(path)


def load_weights(path: Path, program: Program) -> Variables:
    """The variables of a file, which have to be those of the program by name, shape and type.

    Raises:
        Refused: the file is none, or holds something else.
    """
    expected = flattened(variables_of(program))
    most = sum(value.size * value.dtype.itemsize for value in expected.values()) + _SLACK
    if not path.is_file() or path.stat().st_size > most:
        raise Refused(f"{path.name}: there is no file of weights of at most {most:,} bytes")
    try:
        with safe_open(path, framework="np") as file:
            _same_names(path, set(file.keys()), set(expected))
            flat = {name: file.get_tensor(name) for name in expected}
    except (SafetensorError, OSError) as error:
        raise Refused(f"{path.name}: no safetensors file: {error}") from None
    for name, value in flat.items():
        if value.shape != expected[name].shape or value.dtype != expected[name].dtype:
            raise Refused(f"{path.name}: {name} is {value.dtype}{list(value.shape)}, not as the model has it")
    return {"params": {}, **unflatten_dict(flat, sep="/")}


def flattened(variables: Variables) -> dict[str, Any]:
    """Arrays, or shapes, by path."""
    flat: dict[str, Any] = flatten_dict(variables, sep="/")
    return flat


def _same_names(path: Path, found: set[str], expected: set[str]) -> None:
    if found != expected:
        name = min(found ^ expected)
        raise Refused(f"{path.name}: {name!r} is {'unknown to the model' if name in found else 'not in the file'}")
