"""Cross-entropy of a language model's features, without the logits of all positions at once.

A head over 128,256 tokens makes 16 GB of fp32 logits from four rows of 8,192 positions, and as much again of their
gradient. Here they are made for a chunk of positions, turned into their gradient where they stand, and dropped: what
remains is the gradients of features and head, which any way of computing the loss ends with.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

IGNORE = -100
"""A target that is none."""

WHOLE = 2**26
"""Up to so many logits are made at once: 256 MiB in fp32."""

CHUNK_BYTES = 2**28
"""Of the logits of a chunk, in the type of the head's matrix products. Each chunk adds to the head's gradient, which is
read and written for it: with fewer positions that would take longer than the products."""

PIECE = 2**24
"""How many logits of a chunk are widened to fp32 at a time, for their exponentials and sums."""

SLICE = 8192
"""Tokens whose weights get a chunk's gradient at a time, before it is added up in fp32."""


def token_loss(logits: Tensor, targets: Tensor, reduction: str = "mean") -> Tensor:
    """Cross-entropy in nats of logits [..., vocab], in fp32 at least, over the targets [...] that are not `IGNORE`."""
    logits = logits if logits.dtype == torch.float64 else logits.float()
    return F.cross_entropy(logits.flatten(0, -2), targets.flatten(), ignore_index=IGNORE, reduction=reduction)


def fits(targets: Tensor, vocabulary: int) -> bool:
    """Whether the logits of all targets are few enough to be made at once."""
    return targets.numel() * vocabulary <= WHOLE


def loss_sum(features: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor) -> Tensor:
    """The sum of the cross-entropies in nats of a head's logits, which are made in chunks.

    Matrix products have the type that they would have in the head, autocast included; all else is in fp32 at least. The
    gradients are made in the forward pass, and a backward pass may be asked for once.

    Args:
        features: what the head takes [..., d_model].
        weight: of the head [vocab, d_model].
        bias: of the head [vocab], or none.
        targets: [...]; those that are `IGNORE` count nothing.
    """
    if not torch.is_grad_enabled():
        return token_losses(features, weight, bias, targets).sum()
    total: Tensor = _LossSum.apply(features.flatten(0, -2), weight, bias, targets.flatten())  # type: ignore[no-untyped-call]
    return total


@torch.no_grad()
def token_losses(features: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor) -> Tensor:
    """The cross-entropy in nats of each target, shaped like the targets; no gradient. Arguments as of `loss_sum`."""
    head = _Head(features, weight, bias)
    with torch.autocast(features.device.type, enabled=False):
        parts = zip(*(torch.split(x, head.rows) for x in (features.flatten(0, -2), targets.flatten())), strict=True)
        losses = [head.losses(head.logits(rows), wanted) for rows, wanted in parts]
    return torch.cat(losses).view(targets.shape)


@torch.no_grad()
def token_scores(features: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Of each target its cross-entropy in nats, and whether it is the likeliest token; both shaped like the targets.

    Of equally likely tokens the likeliest is that of the lowest id. Arguments as of `loss_sum`.
    """
    head = _Head(features, weight, bias)
    losses, likeliest = [], []
    with torch.autocast(features.device.type, enabled=False):
        for rows, wanted in zip(
            *(torch.split(x, head.rows) for x in (features.flatten(0, -2), targets.flatten())), strict=True
        ):
            logits = head.logits(rows)
            losses.append(head.losses(logits, wanted))
            likeliest.append(logits.argmax(-1) == wanted)
    return torch.cat(losses).view(targets.shape), torch.cat(likeliest).view(targets.shape)


class _LossSum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, features: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor) -> Tensor:
        head, grads = _Head(features, weight, bias), _Gradients(features, weight, bias)
        with torch.autocast(features.device.type, enabled=False):
            chunks = [slice(first, first + head.rows) for first in range(0, len(targets), head.rows)]
            losses = [grads.take(head, features, targets, chunk) for chunk in chunks]
        ctx.grads = grads.features, grads.weight.to(weight.dtype), None if bias is None else grads.bias.to(bias.dtype)
        return torch.stack(losses).sum()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        if ctx.grads is None:
            raise RuntimeError("the gradient of a chunked loss is made once: sum several losses before backward")
        grads, ctx.grads = ctx.grads, None
        return (*(None if each is None else each.mul_(grad.to(each.dtype)) for each in grads), None)


class _Head:
    """A head in the type of its matrix products, and how many positions it takes at a time."""

    def __init__(self, features: Tensor, weight: Tensor, bias: Tensor | None) -> None:
        kind = features.device.type
        self.dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else features.dtype
        self.weight, self.bias = weight.to(self.dtype), None if bias is None else bias.to(self.dtype)
        self.rows = max(1, CHUNK_BYTES // (len(weight) * self.dtype.itemsize))

    def logits(self, rows: Tensor) -> Tensor:
        """[rows, vocab] of features [rows, d_model]."""
        return F.linear(rows.to(self.dtype), self.weight, self.bias)

    def losses(self, logits: Tensor, targets: Tensor, turn: bool = False) -> Tensor:
        """The losses [rows] in fp32 at least; with `turn` the logits become the gradient of their sum.

        Rows of no target get one as well: the caller leaves it out.
        """
        ignored = targets == IGNORE
        wanted, at_once = targets.masked_fill(ignored, 0).unsqueeze(-1), max(1, PIECE // logits.shape[1])
        parts = zip(torch.split(logits, at_once), torch.split(wanted, at_once), strict=True)
        return torch.cat([_losses(part, chosen, turn) for part, chosen in parts]).masked_fill(ignored, 0)


def _losses(logits: Tensor, wanted: Tensor, turn: bool) -> Tensor:
    """The losses [rows] of some logits [rows, vocab] by the targets [rows, 1]; see `_Head.losses`."""
    log_p = logits.log_softmax(-1, dtype=_wide(logits))
    chosen = log_p.gather(-1, wanted)
    if turn:
        torch.exp(log_p, out=logits)
        logits.scatter_(-1, wanted, chosen.expm1().to(logits.dtype))
    return -chosen.squeeze(-1)


class _Gradients:
    """The gradients of features, head and bias, filled chunk by chunk; the head's are summed in fp32 at least."""

    def __init__(self, features: Tensor, weight: Tensor, bias: Tensor | None) -> None:
        self.features = torch.empty_like(features)
        self.weight = torch.zeros_like(weight, dtype=_wide(weight))
        self.bias = torch.zeros(len(weight) if bias is not None else 0, dtype=_wide(weight), device=weight.device)

    def take(self, head: _Head, features: Tensor, targets: Tensor, chunk: slice) -> Tensor:
        """Add a chunk's gradients; returns the sum of its losses."""
        ignored = (targets[chunk] == IGNORE).unsqueeze(-1)
        rows = features[chunk].to(head.dtype).masked_fill(ignored, 0)
        grad = head.logits(rows)
        total = head.losses(grad, targets[chunk], turn=True).sum()
        self.features[chunk] = (grad @ head.weight).masked_fill(ignored, 0)
        if len(self.bias):
            self.bias += (~ignored).mT.to(grad.dtype).matmul(grad)[0]
        for first in range(0, len(self.weight), SLICE):
            tokens = slice(first, first + SLICE)
            self.weight[tokens] += grad[:, tokens].mT @ rows
        return total


def _wide(x: Tensor) -> torch.dtype:
    return torch.float64 if x.dtype == torch.float64 else torch.float32
