"""Train a small model on the examples of one task, and predict with it."""

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from aira_lib.datasets.mad import Examples
from aira_lib.device import Precision, plain_kernels
from aira_lib.models.language_model import parameter_groups
from aira_lib.models.mad_model import MADModel
from aira_lib.models.optimizer import EagerAdamW
from aira_lib.models.precision import rounded
from aira_lib.proxy.graphed import GraphedStep, Step
from aira_lib.study import ProxySection

PREDICTION_BATCH = 128
EPOCHS_AHEAD = 10
"""Of a GPU, which does not wait for each epoch's loss to be read."""


class Diverged(Exception):
    """The training loss or a weight is no longer a number."""


def train(
    model: MADModel,
    examples: Examples,
    section: ProxySection,
    seed: int,
    stepped: Callable[[int], None] = lambda steps: None,
) -> float:
    """Train for all of the section's epochs, see `epochs`.

    Returns:
        Loss of the last epoch: the mean over its batches of their means over scored tokens, in nats. A smaller last
        batch counts as much as the others.

    Raises:
        Diverged: see `epochs`.
    """
    loss = torch.tensor(math.nan)
    for loss in epochs(model, examples, section, seed, stepped):  # noqa: B007
        pass
    return loss.item()


def epochs(
    model: MADModel, examples: Examples, section: ProxySection, seed: int, stepped: Callable[[int], None]
) -> Iterator[Tensor]:
    """Train with AdamW at a constant rate, each epoch in a new order drawn from the seed; yield each epoch's loss.

    Matrix products have the section's precision. mad-lab configures a cosine schedule that its trainer never attaches,
    so its published runs had a constant rate; no warm-up, no clipping. A last smaller batch is kept. `stepped` is told
    after each epoch how many steps it had. Between epochs the model may be scored: it changes nothing in what follows.
    On a GPU all data lie on it, and steps are CUDA graphs unless AIRA_KERNELS is "plain".

    Raises:
        Diverged: the loss of an epoch, or a weight after it, is NaN or infinite. On a GPU it is noticed up to
            `EPOCHS_AHEAD` epochs later, but before a rung or the end.
    """
    device = next(model.parameters()).device
    step = _step(model, examples, section, device)
    random = torch.Generator().manual_seed(seed)
    read_after = {*section.rungs, section.epochs}
    unread: list[Tensor] = []
    for epoch in range(1, section.epochs + 1):
        model.train()
        order = torch.randperm(len(examples.inputs), generator=random).to(device, non_blocking=True)
        batches = torch.split(order, section.batch_size)
        loss = _mean_loss(step, batches)
        unread.append(loss)
        if device.type == "cpu" or len(unread) == EPOCHS_AHEAD or epoch in read_after:
            _require_numbers(unread, model, epoch, section.epochs)
            unread.clear()
        stepped(len(batches))
        yield loss


def _step(model: MADModel, examples: Examples, section: ProxySection, device: torch.device) -> Step:
    """A training step on the rows of a batch."""
    inputs, targets = (torch.from_numpy(a).to(device) for a in (examples.inputs, examples.targets))
    optimizer = EagerAdamW(
        parameter_groups(model, section.weight_decay), lr=section.learning_rate, fused=True,
        capturable=device.type == "cuda",
    )  # fmt: skip

    def step(rows: Tensor) -> Tensor:
        optimizer.zero_grad()
        with rounded(device, section.precision):
            loss = model.loss(inputs[rows], targets[rows])
        torch.autograd.backward(loss)
        optimizer.step()
        return loss.detach()

    return GraphedStep(step) if device.type == "cuda" and not plain_kernels() else step


def _mean_loss(step: Step, batches: Sequence[Tensor]) -> Tensor:
    total = torch.zeros((), device=batches[0].device)
    for rows in batches:
        total += step(rows)
    return total / len(batches)


def _require_numbers(losses: list[Tensor], model: MADModel, epoch: int, epochs: int) -> None:
    """Losses of the last epochs, up to this one, and the weights after it: a loss need not show all of them."""
    for at, loss in enumerate(torch.stack(losses).tolist(), epoch - len(losses) + 1):
        if not math.isfinite(loss):
            raise Diverged(f"the loss became {loss} in epoch {at} of {epochs}")
    largest = torch.nn.utils.get_total_norm([p.detach() for p in model.parameters()], norm_type=math.inf).item()
    if not math.isfinite(largest):
        raise Diverged(f"a weight became {largest} by epoch {epoch} of {epochs}")


@torch.no_grad()
def predict(model: MADModel, inputs: NDArray[np.int64], precision: Precision) -> NDArray[np.int64]:
    """The likeliest token at every position of inputs [n, length], by products of that precision."""
    model.eval()
    device = next(model.parameters()).device
    parts = torch.split(torch.from_numpy(inputs).to(device), PREDICTION_BATCH)
    with rounded(device, precision):
        return torch.cat([model(part).argmax(-1) for part in parts]).cpu().numpy()
