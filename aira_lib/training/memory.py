"""What is said where a training does not fit into memory: which setting to lower, and by how much."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from aira_lib.architecture.scales import Scale
from aira_lib.errors import UserError
from aira_lib.study import PretrainSection

_CPU_REFUSALS = ("can't allocate memory", "not enough memory")


@contextmanager
def out_of_memory_in_words(section: PretrainSection, scale: Scale, ranks: int) -> Iterator[None]:
    """Turn PyTorch's refusal to allocate into one line.

    Raises:
        UserError: memory does not suffice inside the block.
    """
    try:
        yield
    except RuntimeError as error:
        if not is_refusal(error):
            raise
        raise UserError(f"scale {scale.name} does not fit into memory: {_remedy(section, scale, ranks)}") from error


def is_refusal(error: RuntimeError) -> bool:
    """Whether PyTorch failed to allocate memory."""
    return isinstance(error, torch.OutOfMemoryError) or any(text in str(error) for text in _CPU_REFUSALS)


def _remedy(section: PretrainSection, scale: Scale, ranks: int) -> str:
    """A pass of half the rows takes half the memory of activations; weights and moments take theirs whatever it is."""
    mine = -(-scale.tokens_per_step // scale.seq_len // ranks) * scale.seq_len
    tokens = min(section.micro_batch_tokens or mine, mine)
    ways = []
    if (rows := tokens // scale.seq_len) > 1:
        ways.append(f"lower pretrain.micro_batch_tokens from {tokens} to {rows // 2 * scale.seq_len}")
    if not section.recompute:
        ways.append("set pretrain.recompute: true")
    if section.trainer != "fsdp":
        ways.append("spread the model over ranks with pretrain.trainer: fsdp")
    return ", or ".join(ways) or "give it more ranks, or devices with more memory"
