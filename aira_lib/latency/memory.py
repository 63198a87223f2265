"""The memory of a design: what it holds by formula, what a measurement needs at least, and what there is."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import torch

from aira_lib.architecture.cost import count, exact_params
from aira_lib.architecture.primitives import PRIMITIVES, Primitive
from aira_lib.errors import UserError
from aira_lib.latency.workload import STACK, Workload
from aira_lib.training.memory import is_refusal

USABLE = 0.8
"""Of the memory that is free: the rest is for what no formula counts, such as the scores of attention."""
_MEMINFO, _CGROUP = Path("/proc/meminfo"), Path("/sys/fs/cgroup")


class Held(NamedTuple):
    """Bytes of a design: its weights, and of all sequences keys and values, and the states of recurrent layers."""

    weights: int
    key_values: int
    states: int


def held(layers: Sequence[str], work: Workload) -> Held:
    """What a design holds in a mode by the formulas of its scale, the caches after `seq_len` tokens."""
    width, scale = (2 if work.halved else 4), work.scale
    kinds = [(PRIMITIVES.named(symbol), number) for symbol, number in count(layers).items() if number]
    wide = sum(number * kind.wide_params(scale) for kind, number in kinds)
    weights = exact_params(layers, scale) * width + wide * (4 - width)
    if work.mode == "train":
        return Held(weights, 0, 0)
    cached = sum(number * kind.cache_values(scale, work.seq_len) for kind, number in kinds)
    states = sum(number * _state_bytes(kind, work, width) for kind, number in kinds)
    return Held(weights, work.batch * cached * width, work.batch * states)


def _state_bytes(kind: Primitive, work: Workload, width: int) -> int:
    wide = kind.wide_state_values(work.scale)
    return (kind.state_values(work.scale) - wide) * width + wide * 4


def needed(layers: Sequence[str], work: Workload) -> int:
    """Bytes that measuring a design takes at least.

    Weights; in training as much for gradients, and the activations of all layers; in decoding the caches twice, as they
    are and as they become; in prefill those, and the activations of the largest layer. A layer's activations a token
    are taken as its outputs of all matrix products, which is its parameters by its width, and its input and norm.
    """
    mine = held(layers, work)
    kept = [
        PRIMITIVES.named(symbol).params(work.scale) // work.scale.d_model + 2 * work.scale.d_model for symbol in layers
    ]
    a_value = work.batch * work.new * (2 if work.halved else 4)
    if work.mode == "train":
        return 2 * mine.weights + sum(kept) * a_value
    caches = mine.key_values + mine.states
    return mine.weights + caches * (2 if work.mode == "decode" else 1) + max(kept, default=0) * a_value


def needed_of_blocks(kinds: Sequence[str], work: Workload) -> int:
    """Bytes that the stacks of all kinds take at least, and what models have once."""
    return sum(needed((kind,) * STACK, work) for kind in kinds)


def free(device: torch.device) -> int | None:
    """Bytes that are free on a device; None where nobody tells."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    known = [each for each in (_available(), _left_in_group()) if each is not None]
    return min(known, default=None)


def _available() -> int | None:
    try:
        lines = dict(line.split(":", 1) for line in _MEMINFO.read_text().splitlines())
        return int(lines["MemAvailable"].split()[0]) * 1024
    except (OSError, ValueError, KeyError):
        return None


def _left_in_group() -> int | None:
    """What a container's control group grants beyond what it has; what it has read of files it can drop."""
    try:
        most, now = ((_CGROUP / name).read_text().strip() for name in ("memory.max", "memory.current"))
        stats = dict(line.split() for line in (_CGROUP / "memory.stat").read_text().splitlines())
        return None if most == "max" else int(most) - int(now) + int(stats.get("inactive_file", 0))
    except (OSError, ValueError):
        return None


@contextmanager
def refusal_in_words(work: Workload) -> Iterator[None]:
    """Turn PyTorch's refusal to allocate into one line.

    Raises:
        UserError: memory does not suffice inside the block.
    """
    try:
        yield
    except RuntimeError as error:
        if not is_refusal(error):
            raise
        raise UserError(
            f"latency: {work.mode} of {work.batch} sequences of {work.seq_len:,} tokens at scale {work.scale.name} "
            "does not fit into memory; lower latency.batch or latency.seq_len, or leave the mode out of latency.modes"
        ) from error
