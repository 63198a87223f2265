"""Prompts that several continuations share, read once: the continuations go on from the states behind them."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from aira_lib.downstream.windows import Computer, Window, runs
from aira_lib.models.decoding import states_of

WORTH = 2.0
"""Prompts are shared where there is at least so many times less to read. Going on from states is slower by the token:
1 to 2.2 times on a CPU, whose fused kernels begin at a beginning."""


LEAST_SAVED = 10**8
"""Products of weights and tokens that a batch must save, or it is read as if nothing were shared. Each has two passes
of its own, since its prompts are of one length, and at a laptop's widths a pass costs mostly that it is one."""


class Group(NamedTuple):
    """Windows, by number, that have a prompt of `length` tokens in common; sharing it saves so many tokens."""

    length: int
    windows: tuple[int, ...]
    saved: int


def shared_batches(computer: Computer, windows: Sequence[Window]) -> tuple[list[list[Group]], list[int]]:
    """Batches of groups whose prompts have one length, the longest first; and the numbers of all other windows."""
    if not shares(computer):
        return [], list(range(len(windows)))
    weights = sum(each.numel() for each in computer.model.backbone.layers.parameters())
    groups, alone = groups_of(windows)
    batches = list[list[Group]]()
    for batch in _batches(groups, windows, computer.batch_tokens):
        if weights * sum(group.saved for group in batch) >= LEAST_SAVED:
            batches.append(batch)
        else:
            alone += [number for group in batch for number in group.windows]
    return batches, alone


def shares(computer: Computer) -> bool:
    """Whether a model's prompts are shared at all: on a CPU, if its layers decode.

    On a GPU the kernels of Mamba-2's scan know of no state to begin with.
    """
    layers = computer.model.backbone.layers
    decode = all(not layer.primitive.mixes or hasattr(layer.mixer, "extend") for layer in layers)  # type: ignore[union-attr]
    return decode and computer.device.type == "cpu"


def groups_of(windows: Sequence[Window]) -> tuple[list[Group], list[int]]:
    """Windows whose prompt is worth sharing, the longest prompts first; and the numbers of all others."""
    by_prompt: dict[tuple[int, ...], list[int]] = {}
    for number, window in enumerate(windows):
        by_prompt.setdefault(tuple(window.inputs[: _prompt(window)]), []).append(number)
    groups, alone = list[Group](), list[int]()
    for prompt, numbers in by_prompt.items():
        further = [len(windows[number].targets) - 1 for number in numbers]
        read = sum(len(prompt) + each for each in further if each) or len(prompt)
        shared = len(prompt) + sum(further)
        if read >= WORTH * shared:
            groups.append(Group(len(prompt), tuple(numbers), read - shared))
        else:
            alone += numbers
    return sorted(groups, key=lambda group: -group.length), alone


def _prompt(window: Window) -> int:
    return len(window.inputs) - len(window.targets) + 1


def _batches(groups: Sequence[Group], windows: Sequence[Window], batch_tokens: int) -> Iterator[list[Group]]:
    """Groups whose prompts have one length, as many as have so many tokens with a prompt for each of their windows."""
    batch, tokens = list[Group](), 0
    for group in groups:
        own = sum(len(windows[number].inputs) for number in group.windows)
        if batch and (batch[0].length != group.length or tokens + own > batch_tokens):
            yield batch
            batch, tokens = [], 0
        batch.append(group)
        tokens += own
    if batch:
        yield batch


def features_of_groups(
    computer: Computer, groups: Sequence[Group], windows: Sequence[Window]
) -> tuple[list[int], Tensor, NDArray[np.int64]]:
    """Windows by number; features [places, d_model]; where among them each target of each is predicted."""
    backbone, place = computer.model.backbone, computer.device
    prompts = [list(windows[group.windows[0]].inputs[: group.length]) for group in groups]
    after, states = backbone.extend(torch.tensor(prompts, device=place), [None] * len(backbone.layers))
    owners = {number: row for row, group in enumerate(groups) for number in group.windows}
    further = [number for number in owners if len(windows[number].targets) > 1]
    numbers = further + [number for number in owners if len(windows[number].targets) == 1]
    features, starts, counts = after[:, -1], [], []
    if further:
        rest = [list(windows[number].targets[:-1]) for number in further]
        longest = max(map(len, rest))
        padded = torch.tensor([each + [0] * (longest - len(each)) for each in rest], device=place)
        rows = torch.tensor([owners[number] for number in further], device=place)
        more, _ = backbone.extend(padded, states_of(states, rows))
        features = torch.cat((features, more.flatten(0, 1)))
    for row, number in enumerate(numbers):
        starts.append(owners[number])
        counts.append(1)
        if row < len(further):
            starts.append(len(groups) + row * longest)
            counts.append(len(rest[row]))
    return numbers, features, runs(starts, counts)
