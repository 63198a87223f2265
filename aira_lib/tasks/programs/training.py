"""What is known of a training beside its weights: what is measured of it here, and what its script said of itself.

The second is never taken for the first: its names begin with `said_`, wherever they are kept or shown.
"""

import math
import re
from collections.abc import Mapping

from aira_lib.records.node import SAID
from aira_lib.sandbox import Outcome
from aira_lib.tensors import TensorAt

_MB = 2**20
# Lines of the block that the original Autoresearch's script prints, so many digits that no number is out of bounds.
_LINE = re.compile(
    r"^(num_steps|total_tokens_M|peak_vram_mb):[ \t]+([0-9]{1,12}(?:\.[0-9]{1,9})?)[ \t]*$", re.MULTILINE
)
_KEPT = {"num_steps": ("steps", 1.0), "total_tokens_M": ("tokens", 1e6), "peak_vram_mb": ("peak_vram_mb", 1.0)}


def measured_of(outcome: Outcome, gpu: bool) -> dict[str, float]:
    """What the harness knows by itself of a training, for a node; what it does not know is missing.

    Args:
        outcome: How it ended; in a pod its supervisor says so.
        gpu: Whether it could use a GPU. Its memory then is not all that it used, and has another name: no number of a
            training on a GPU is taken for the peak of that GPU's memory, which nobody measures.

    Returns:
        `train_seconds`, wall time from its start to its end; `train_cpu_seconds`, of it and of all that was waited for,
        if it ended by itself; `peak_memory_mb`, MiB that a look at its processes saw at most (`peak_host_memory_mb`
        where there was a GPU).
    """
    found = {"train_seconds": outcome.seconds}
    if outcome.cpu_seconds is not None:
        found["train_cpu_seconds"] = outcome.cpu_seconds
    if outcome.peak_memory is not None:
        found["peak_host_memory_mb" if gpu else "peak_memory_mb"] = outcome.peak_memory / _MB
    return found


def parameters_in(tensors: Mapping[str, TensorAt]) -> float:
    """The floating-point elements of saved weights: buffers count, and a tensor saved under two names counts twice."""
    return float(sum(math.prod(each.shape) for each in tensors.values() if each.dtype.startswith(("F", "BF"))))


def said_of(printed: str) -> dict[str, float]:
    """What a script said of itself in the lines of the original's printed block, the last of each.

    Args:
        printed: What is kept of its standard output.

    Returns:
        `said_steps`, `said_tokens` and `said_peak_vram_mb`, those that it said as plain numbers.
    """
    last = {found[1]: float(found[2]) for found in _LINE.finditer(printed)}
    return {SAID + _KEPT[name][0]: value * _KEPT[name][1] for name, value in last.items()}
