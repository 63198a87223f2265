"""Train a small model on the examples of one task, and predict with it."""

import math
from collections.abc import Callable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from aira_lib.datasets.mad import Examples
from aira_lib.models.language_model import parameter_groups
from aira_lib.models.mad_model import MADModel
from aira_lib.models.optimizer import EagerAdamW
from aira_lib.spec import ProxySection

PREDICTION_BATCH = 128


class Diverged(Exception):
    """The training loss is no longer a number."""


def train(
    model: MADModel,
    examples: Examples,
    section: ProxySection,
    seed: int,
    stepped: Callable[[int], None] = lambda steps: None,
) -> float:
    """Train for all of the section's epochs, see `epochs`.

    Returns:
        Mean loss of the last epoch in nats per scored token.

    Raises:
        Diverged: the loss of an epoch is NaN or infinite.
    """
    loss = math.nan
    for loss in epochs(model, examples, section, seed, stepped):  # noqa: B007
        pass
    return loss


def epochs(
    model: MADModel, examples: Examples, section: ProxySection, seed: int, stepped: Callable[[int], None]
) -> Iterator[float]:
    """Train with AdamW at a constant rate, each epoch in a new order drawn from the seed; yield each epoch's mean loss.

    Matrix products have the section's precision. mad-lab configures a cosine schedule that its trainer never attaches,
    so its published runs had a constant rate; no warm-up, no clipping. A last smaller batch is kept. `stepped` is told
    after each epoch how many steps it had. Between epochs the model may be scored: it changes nothing in what follows.

    Raises:
        Diverged: the loss of an epoch is NaN or infinite.
    """
    device = next(model.parameters()).device
    inputs, targets = (torch.from_numpy(a).to(device) for a in (examples.inputs, examples.targets))
    optimizer = EagerAdamW(parameter_groups(model, section.weight_decay), lr=section.learning_rate, fused=True)
    order = torch.Generator().manual_seed(seed)
    for epoch in range(section.epochs):
        model.train()
        batches = torch.split(torch.randperm(len(inputs), generator=order).to(device), section.batch_size)
        loss = _epoch(model, optimizer, [(inputs[rows], targets[rows]) for rows in batches], section.precision)
        if not math.isfinite(loss):
            raise Diverged(f"the loss became {loss} in epoch {epoch + 1} of {section.epochs}")
        stepped(len(batches))
        yield loss


def rounded(device: torch.device, precision: str) -> torch.autocast:
    """The context in which matrix products have a precision."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")


def _epoch(
    model: MADModel, optimizer: torch.optim.Optimizer, batches: list[tuple[Tensor, Tensor]], precision: str
) -> float:
    total = torch.zeros((), device=batches[0][0].device)
    for inputs, targets in batches:
        optimizer.zero_grad()
        with rounded(inputs.device, precision):
            loss = model.loss(inputs, targets)
        torch.autograd.backward(loss)
        optimizer.step()
        total += loss.detach()
    return total.item() / len(batches)


@torch.no_grad()
def predict(model: MADModel, inputs: NDArray[np.int64], precision: str) -> NDArray[np.int64]:
    """The likeliest token at every position of inputs [n, length], by products of that precision."""
    model.eval()
    device = next(model.parameters()).device
    parts = torch.split(torch.from_numpy(inputs).to(device), PREDICTION_BATCH)
    with rounded(device, precision):
        return torch.cat([model(part).argmax(-1) for part in parts]).cpu().numpy()
