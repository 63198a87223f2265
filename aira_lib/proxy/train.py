"""Train a small model on the examples of one task, and predict with it."""

import math
from collections.abc import Callable

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
    """Train with AdamW at a constant rate for the section's epochs, each in a new order drawn from the seed.

    mad-lab configures a cosine schedule that its trainer never attaches, so its published runs had a constant rate;
    no warm-up, no clipping. A last smaller batch is kept. `stepped` is told after each epoch how many steps it had.

    Returns:
        Mean loss of the last epoch in nats per scored token.

    Raises:
        Diverged: the loss of an epoch is NaN or infinite.
    """
    device = next(model.parameters()).device
    inputs, targets = (torch.from_numpy(a).to(device) for a in (examples.inputs, examples.targets))
    optimizer = EagerAdamW(parameter_groups(model, section.weight_decay), lr=section.learning_rate, fused=True)
    order = torch.Generator().manual_seed(seed)
    loss = math.nan
    model.train()
    for epoch in range(section.epochs):
        batches = torch.split(torch.randperm(len(inputs), generator=order).to(device), section.batch_size)
        loss = _epoch(model, optimizer, [(inputs[rows], targets[rows]) for rows in batches])
        if not math.isfinite(loss):
            raise Diverged(f"the loss became {loss} in epoch {epoch + 1} of {section.epochs}")
        stepped(len(batches))
    return loss


def _epoch(model: MADModel, optimizer: torch.optim.Optimizer, batches: list[tuple[Tensor, Tensor]]) -> float:
    total = torch.zeros((), device=batches[0][0].device)
    for inputs, targets in batches:
        optimizer.zero_grad()
        loss = model.loss(inputs, targets)
        torch.autograd.backward(loss)
        optimizer.step()
        total += loss.detach()
    return total.item() / len(batches)


@torch.no_grad()
def predict(model: MADModel, inputs: NDArray[np.int64]) -> NDArray[np.int64]:
    """The likeliest token at every position of inputs [n, length]."""
    model.eval()
    device = next(model.parameters()).device
    parts = torch.split(torch.from_numpy(inputs).to(device), PREDICTION_BATCH)
    return torch.cat([model(part).argmax(-1) for part in parts]).cpu().numpy()
