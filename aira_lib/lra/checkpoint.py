"""The state of a training between two steps, in safetensors: whole or not at all, for that training alone."""

import json
from pathlib import Path
from typing import Any

import jax
import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

CHECKPOINT = "checkpoint.safetensors"


def save_checkpoint(folder: Path, state: Any, step: int, fingerprint: str, notes: dict[str, Any]) -> None:
    """Write the state after `step` steps in the place of the one before.

    Args:
        folder: Of the training.
        state: A tree of arrays.
        step: Steps done.
        fingerprint: Of everything that the training depends on.
        notes: Plain values to find again beside it.
    """
    leaves = {name: np.asarray(jax.device_get(leaf), order="C") for name, leaf in _named(state)}
    said = {"step": str(step), "fingerprint": fingerprint, "notes": json.dumps(notes)}
    partial = folder / f".{CHECKPOINT}.tmp"
    save_file(leaves, partial, metadata=said)
    partial.replace(folder / CHECKPOINT)


def load_checkpoint(folder: Path, like: Any, fingerprint: str) -> tuple[Any, int, dict[str, Any]] | None:
    """State, steps done and notes of a checkpoint; None where there is none, it is damaged, or of another training.

    Args:
        folder: Of the training.
        like: A tree of arrays, or of shapes, as the state is.
        fingerprint: Of everything that the training depends on.
    """
    try:
        with safe_open(folder / CHECKPOINT, framework="np") as file:
            said = file.metadata() or {}
            if said.get("fingerprint") != fingerprint:
                return None
            leaves = [file.get_tensor(name) for name, _ in _named(like)]
            return jax.tree.unflatten(jax.tree.structure(like), leaves), int(said["step"]), json.loads(said["notes"])
    except (SafetensorError, OSError, KeyError, ValueError):
        return None


def _named(state: Any) -> list[tuple[str, Any]]:
    return [(jax.tree_util.keystr(path), leaf) for path, leaf in jax.tree_util.tree_flatten_with_path(state)[0]]
