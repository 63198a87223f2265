"""Which GPU a candidate may use, in words for its prompt."""

import json
import tempfile
from functools import cache
from pathlib import Path

from aira_lib.foreign import in_a_line
from aira_lib.sandbox.candidate import isolation, run_candidate
from aira_lib.sandbox.gpu import gpu_of_machine
from aira_lib.sandbox.process import SandboxError
from aira_lib.study.agent import CandidateLimits

# What a candidate's own torch says of its GPUs: the name and the bytes of the first, how many there are.
_LOOK = """
import json, torch
count = torch.cuda.device_count() if torch.cuda.is_available() else 0
first = torch.cuda.get_device_properties(0) if count else None
print(json.dumps([first.name, first.total_memory, count] if first else None))
"""
_LOOK_SECONDS = 300


@cache
def gpu_in_words(limits: CandidateLimits) -> str:
    """Name the GPU that the sandbox gives to a candidate, with its share of memory; empty where it gives none.

    Raises:
        SandboxError: candidates have pods of their own, and one that asks for a GPU finds none.
    """
    if not limits.gpu:
        return ""
    if isolation() == "pod":
        return _in_words(*_of_a_pod(limits), limits)
    if not gpu_of_machine(limits.gpu_memory_fraction).devices:
        return ""
    import torch  # seconds, which a search does not need where no GPU is given

    if not torch.cuda.is_available():
        return f"of NVIDIA, of which torch here makes no use; at most {limits.gpu_memory_fraction:.0%} of its memory"
    first = torch.cuda.get_device_properties(0)
    return _in_words(first.name, first.total_memory, torch.cuda.device_count(), limits)


def _of_a_pod(limits: CandidateLimits) -> tuple[str, int, int]:
    """Name and bytes of the first GPU of a candidate's pod, and how many it has, as a program there finds."""
    with tempfile.TemporaryDirectory(prefix="aira-look-") as folder:
        outcome = run_candidate(_LOOK, Path(folder), limits, _LOOK_SECONDS)
    try:
        name, total, count = json.loads(outcome.stdout_tail)
    except (ValueError, TypeError):
        why = f": {outcome.reason}" if outcome.reason else ""
        raise SandboxError(
            f"limits.gpu: torch finds no GPU in a candidate's pod{why}; see to the nodes' driver and device plugin, or "
            "leave it out"
        ) from None
    return in_a_line(str(name), 100), int(total), int(count)


def _in_words(name: str, total: int, count: int, limits: CandidateLimits) -> str:
    share = limits.gpu_memory_fraction * total / 1e9
    several = f" (the first of {count})" if count > 1 else ""
    return f"{name}{several}, of whose memory it may use {share:.0f} GB"
