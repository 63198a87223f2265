"""Log-likelihoods of many short sequences: in batches of like length, each prompt once, the head where it is needed."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from aira_lib.device import Precision
from aira_lib.models import loss
from aira_lib.models.language_model import LanguageModel
from aira_lib.models.precision import rounded


class Window(NamedTuple):
    """What a model reads, and the tokens that it is to predict at the last of these positions; at least one."""

    inputs: Sequence[int]
    targets: Sequence[int]


class Scores(NamedTuple):
    """Of each window the log-likelihood in nats of its targets, fp64, and whether each was the likeliest token."""

    nats: NDArray[np.float64]
    greedy: NDArray[np.bool_]


@dataclass(frozen=True)
class Computer:
    """A model, where and how it computes.

    Attributes:
        model: on its device.
        device: see above.
        precision: of matrix products.
        batch_tokens: most tokens of a forward pass, padding included; a longer sequence has one of its own.
    """

    model: LanguageModel
    device: torch.device
    precision: Precision
    batch_tokens: int


def windows_of(sequence: Sequence[int], first: int, most: int, stride: int) -> list[Window]:
    """Windows in which each token of a sequence from place `first` (at least 1) on is predicted once.

    Args:
        sequence: tokens.
        first: see above.
        most: tokens that a window reads at most; it reaches as far back as that allows.
        stride: tokens that a window predicts at most, no more than it reads.
    """
    ends = [min(begin + stride, len(sequence)) for begin in range(first, len(sequence), stride)]
    begins = [first, *ends[:-1]]
    return [
        Window(sequence[max(0, end - 1 - most) : end - 1], sequence[begin:end])
        for begin, end in zip(begins, ends, strict=True)
    ]


def scored(computer: Computer, windows: Sequence[Window], tell: Callable[[int], None] = lambda count: None) -> Scores:
    """The scores of windows, in their order.

    A window whose inputs are the beginning of another's is read with that one: choices of a letter cost one row.
    Padding is at the right, where no position that counts sees it.

    Args:
        computer: see there.
        windows: what is scored.
        tell: told after each forward pass how many windows are done with it.
    """
    order, losses, likeliest = [], list[Tensor](), list[Tensor]()
    with torch.inference_mode(), rounded(computer.device, computer.precision):
        for batch in _batches(_rows(windows), windows, computer.batch_tokens):
            tokens, places, targets = _arrays(batch, windows)
            features = computer.model.backbone(tokens.to(computer.device)).flatten(0, 1)[places.to(computer.device)]
            head = computer.model.head
            nats, right = loss.token_scores(features, head.weight, head.bias, targets.to(computer.device))
            losses.append(nats)
            likeliest.append(right)
            served = [each for row in batch for each in row]
            order += served
            tell(len(served))
    return _summed(windows, order, losses, likeliest)


_Row = list[int]
"""Windows that are read together, by number: the longest first, of which the others are beginnings."""


def _rows(windows: Sequence[Window]) -> list[_Row]:
    order = sorted(range(len(windows)), key=lambda each: list(windows[each].inputs), reverse=True)
    rows: list[_Row] = []
    for each in order:  # in this order whatever begins with some tokens comes right before what is no more than these
        inputs = windows[each].inputs
        if rows and windows[rows[-1][-1]].inputs[: len(inputs)] == inputs:
            rows[-1].append(each)
        else:
            rows.append([each])
    return rows


def _batches(rows: list[_Row], windows: Sequence[Window], batch_tokens: int) -> Iterator[list[_Row]]:
    """Rows of like length, the longest first: what needs most memory is tried at once."""
    batch: list[_Row] = []
    for row in sorted(rows, key=lambda row: -len(windows[row[0]].inputs)):
        longest = len(windows[(batch or [row])[0][0]].inputs)
        if batch and (len(batch) + 1) * longest > batch_tokens:
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch


def _arrays(batch: list[_Row], windows: Sequence[Window]) -> tuple[Tensor, Tensor, Tensor]:
    """Tokens [rows, longest]; places in their flat form at which targets are predicted [targets], and the targets."""
    longest = len(windows[batch[0][0]].inputs)
    tokens, starts, targets, counts = np.zeros((len(batch), longest), np.int64), [], list[int](), []
    for at, row in enumerate(batch):
        inputs = windows[row[0]].inputs
        tokens[at, : len(inputs)] = inputs
        for each in row:
            window = windows[each]
            starts.append(at * longest + len(window.inputs) - len(window.targets))
            counts.append(len(window.targets))
            targets += window.targets
    before = np.cumsum([0, *counts[:-1]])
    places = np.repeat(np.array(starts) - before, counts) + np.arange(len(targets))
    return torch.from_numpy(tokens), torch.from_numpy(places), torch.tensor(targets)


def _summed(windows: Sequence[Window], order: list[int], losses: list[Tensor], likeliest: list[Tensor]) -> Scores:
    """Of each window the sums of what was computed of its targets, which come by window as `order` says."""
    scores = Scores(np.zeros(len(windows)), np.ones(len(windows), np.bool_))
    if order:
        begins = np.cumsum([0, *(len(windows[each].targets) for each in order[:-1])])
        scores.nats[order] = -np.add.reduceat(torch.cat(losses).cpu().double().numpy(), begins)
        scores.greedy[order] = np.logical_and.reduceat(torch.cat(likeliest).cpu().numpy(), begins)
    return scores
