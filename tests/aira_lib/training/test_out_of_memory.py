"""A training that does not fit says what to lower, and by how much."""

import re
from typing import Any

import pytest
import torch

from aira_lib.errors import UserError
from aira_lib.training.memory import out_of_memory_in_words
from tests.aira_lib.training import tiny

CPU = "[enforce fail at alloc_cpu.cpp:124] . DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"


@pytest.mark.parametrize(
    ("changes", "ranks", "said"),
    [
        ({}, 1, "lower pretrain.micro_batch_tokens from 160 to 64, or set pretrain.recompute: true, or spread"),
        ({}, 2, "lower pretrain.micro_batch_tokens from 96 to 32, or"),
        ({"micro_batch_tokens": 128, "recompute": True}, 1, "lower pretrain.micro_batch_tokens from 128 to 64, or sp"),
        ({"micro_batch_tokens": 32}, 1, "does not fit into memory: set pretrain.recompute: true, or spread"),
        ({"micro_batch_tokens": 32, "recompute": True, "trainer": "fsdp"}, 4, "give it more ranks, or devices with"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory. Tried to allocate"), RuntimeError(CPU)])
def test_it_names_the_setting_and_a_value(changes: dict[str, Any], ranks: int, said: str, error: RuntimeError) -> None:
    with (
        pytest.raises(UserError, match=re.escape(said)) as raised,
        out_of_memory_in_words(tiny.section(**changes), tiny.SCALE, ranks),
    ):
        raise error
    assert raised.value.__cause__ is error


def test_what_it_says_suffices_in_the_end() -> None:
    """Following the advice leads to passes of one window, and each value that is named is one that is accepted."""
    section, seen = tiny.section(), []
    while True:
        with pytest.raises(UserError) as raised, out_of_memory_in_words(section, tiny.SCALE, 1):
            raise torch.OutOfMemoryError("CUDA out of memory")
        found = re.search(r"from (\d+) to (\d+)", str(raised.value))
        if not found:
            break
        assert int(found[2]) < int(found[1])
        seen.append(int(found[2]))
        section = tiny.section(micro_batch_tokens=seen[-1])
    assert seen[-1] == tiny.SCALE.seq_len


def test_other_errors_pass() -> None:
    with pytest.raises(RuntimeError, match="shapes"), out_of_memory_in_words(tiny.section(), tiny.SCALE, 1):
        raise RuntimeError("shapes do not match")
