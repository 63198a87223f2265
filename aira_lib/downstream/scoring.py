"""Log-likelihoods of many short sequences: in batches of like length, each prompt once, the head where it is needed."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from aira_lib.downstream.shared import features_of_groups, shared_batches
from aira_lib.downstream.windows import Computer, Window, runs
from aira_lib.models import loss
from aira_lib.models.precision import rounded


class Scores(NamedTuple):
    """Of each window the log-likelihood in nats of its targets, fp64, and whether each was the likeliest token."""

    nats: NDArray[np.float64]
    greedy: NDArray[np.bool_]


def scored(computer: Computer, windows: Sequence[Window], tell: Callable[[int], None] = lambda count: None) -> Scores:
    """The scores of windows, in their order.

    A window whose inputs are the beginning of another's is read with that one: choices of a letter cost one row.
    Padding is at the right, where no position that counts sees it. Where that is much less to read, a prompt that
    windows share is read once (`aira_lib.downstream.shared`).

    Args:
        computer: see there.
        windows: what is scored.
        tell: told after each forward pass how many windows are done with it.
    """
    done = list[_Done]()
    with torch.inference_mode(), rounded(computer.device, computer.precision):
        shared, alone = shared_batches(computer, windows)
        for groups in shared:
            done.append(_of_head(computer, *features_of_groups(computer, groups, windows), windows))
            tell(len(done[-1].windows))
        for batch in _batches(_rows(windows, alone), windows, computer.batch_tokens):
            done.append(_of_head(computer, *_features(computer, batch, windows), windows))
            tell(len(done[-1].windows))
    return _summed(windows, done)


class _Done(NamedTuple):
    """Windows by number, and of their targets, one after the other, the losses and whether they are the likeliest."""

    windows: list[int]
    losses: Tensor
    likeliest: Tensor


def _of_head(
    computer: Computer, numbers: list[int], features: Tensor, places: NDArray[np.int64], windows: Sequence[Window]
) -> _Done:
    """What the head says of some windows, from features [places, d_model] and where each target is predicted."""
    listed = [target for each in numbers for target in windows[each].targets]
    targets = torch.from_numpy(np.array(listed, np.int64))  # many times as fast as a tensor of a list
    head, chosen = computer.model.head, torch.from_numpy(places).to(computer.device)
    return _Done(numbers, *loss.token_scores(features[chosen], head.weight, head.bias, targets.to(computer.device)))


_Row = list[int]
"""Windows that are read together, by number: the longest first, of which the others are beginnings."""


def _rows(windows: Sequence[Window], numbers: Iterable[int]) -> list[_Row]:
    order = sorted(numbers, key=lambda each: list(windows[each].inputs), reverse=True)
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


def _features(
    computer: Computer, batch: list[_Row], windows: Sequence[Window]
) -> tuple[list[int], Tensor, NDArray[np.int64]]:
    """Windows by number; features [rows x longest, d_model]; where among them each target is predicted."""
    longest = len(windows[batch[0][0]].inputs)
    tokens, numbers, starts = np.zeros((len(batch), longest), np.int64), list[int](), list[int]()
    for at, row in enumerate(batch):
        inputs = windows[row[0]].inputs
        tokens[at, : len(inputs)] = inputs
        numbers += row
        starts += [at * longest + len(windows[each].inputs) - len(windows[each].targets) for each in row]
    features = computer.model.backbone(torch.from_numpy(tokens).to(computer.device)).flatten(0, 1)
    return numbers, features, runs(starts, [len(windows[each].targets) for each in numbers])


def _summed(windows: Sequence[Window], done: Sequence[_Done]) -> Scores:
    """The sums over each window's targets."""
    scores = Scores(np.zeros(len(windows)), np.ones(len(windows), np.bool_))
    order = [each for some in done for each in some.windows]
    if order:
        begins = np.cumsum([0, *(len(windows[each].targets) for each in order[:-1])])
        losses = torch.cat([some.losses for some in done]).cpu().double().numpy()
        scores.nats[order] = -np.add.reduceat(losses, begins)
        likeliest = torch.cat([some.likeliest for some in done]).cpu().numpy()
        scores.greedy[order] = np.logical_and.reduceat(likeliest, begins)
    return scores
