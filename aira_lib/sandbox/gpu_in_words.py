"""Which GPU a candidate may use, in words for its prompt."""

from functools import cache

from aira_lib.sandbox.gpu import gpu_of_machine
from aira_lib.study.agent import CandidateLimits


@cache
def gpu_in_words(limits: CandidateLimits) -> str:
    """Name the GPU that the sandbox gives to a candidate, with its share of memory; empty where it gives none."""
    if not limits.gpu or not gpu_of_machine(limits.gpu_memory_fraction).devices:
        return ""
    import torch  # seconds, which a search does not need where no GPU is given

    if not torch.cuda.is_available():
        return f"of NVIDIA, of which torch here makes no use; at most {limits.gpu_memory_fraction:.0%} of its memory"
    first, count = torch.cuda.get_device_properties(0), torch.cuda.device_count()
    share = limits.gpu_memory_fraction * first.total_memory / 1e9
    several = f" (the first of {count})" if count > 1 else ""
    return f"{first.name}{several}, of whose memory it may use {share:.0f} GB"
