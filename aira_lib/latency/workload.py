"""What is measured: a model, and what it is made of, each as a call that can be made again and again.

A block is a residual layer, the norm before it and the addition after it included. Its time is that of a stack of
several of the kind, each with weights, caches and kept activations of its own, divided by their number. One block
alone, called over and over, would find its weights in the cache of the processor and its memory where it left it, as
it never does in a model.

The three modes are

- prefill: all of a prompt, no caches before it; only the last position meets the head;
- decode: one more token of each sequence, whose caches are full;
- train: forward and backward pass from fresh gradients. The optimizer's step is left out: it takes the same time a
  parameter whatever the layer.

In bf16 the weights of prefill and decode are bf16, as whoever serves a model holds them; training keeps fp32 weights
and rounds its products, as the trainer does.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from aira_lib.architecture.scales import Scale
from aira_lib.device import Precision
from aira_lib.latency.timing import Call
from aira_lib.models import decoding
from aira_lib.models.language_model import Backbone, LanguageModel, ResidualLayer
from aira_lib.models.precision import rounded
from aira_lib.study import LatencyMode

EMBEDDING, NORM, HEAD = "embedding", "norm", "head"
ENDS = (EMBEDDING, NORM, HEAD)
"""What every model has once, whatever its layers: the norm is the final one, the head has the loss in training."""
STACK = 8
"""Blocks of a kind that are measured in a row."""


@dataclass(frozen=True)
class Workload:
    """What is computed: so many sequences of a length at a scale, in one mode, in a precision, on a device."""

    scale: Scale
    batch: int
    seq_len: int
    mode: LatencyMode
    precision: Precision
    device: torch.device

    @property
    def halved(self) -> bool:
        """Whether weights and caches are bf16."""
        return self.mode != "train" and self.precision == "bf16"

    @property
    def new(self) -> int:
        """Positions of a sequence that one call computes."""
        return 1 if self.mode == "decode" else self.seq_len

    def model(self, layers: tuple[str, ...]) -> Call:
        """A whole design. Decoding begins from a prompt that was prefilled.

        Raises:
            UserError: a layer that cannot decode, or cannot be built.
        """
        with torch.device(self.device):
            model = self._placed(LanguageModel(layers, self.scale))
        tokens = self._tokens(self.new)
        if self.mode == "train":
            targets = self._tokens(self.new)
            return self._trained(model, lambda: model.loss(tokens, targets))
        if self.mode == "prefill":
            return self._inferred(lambda: decoding.prefill(model, tokens)[0])
        with torch.inference_mode():
            states = decoding.prefill(model, self._tokens(self.seq_len))[1]
        return self._inferred(lambda: decoding.step(model, tokens[:, 0], states)[0])

    def blocks(self, primitive: str, number: int) -> Call:
        """So many blocks of one kind in a row.

        Raises:
            UserError: a layer that cannot decode, or cannot be built.
        """
        with torch.device(self.device):
            stack = self._placed(nn.ModuleList(ResidualLayer(primitive, self.scale, "auto") for _ in range(number)))
        x = self._features(self.new)
        if self.mode == "train":
            return self._trained(stack, lambda: _through(stack, x), x)
        states: list[Any] = [None] * number
        if self.mode == "decode":
            with torch.inference_mode():
                state = stack[0].extend(self._features(self.seq_len), None)[1]
                states = [copy.deepcopy(state) for _ in range(number)]
        return self._inferred(lambda: _extended(stack, x, states))

    def end(self, name: str) -> Call:
        """The embedding, the final norm or the head."""
        with torch.device(self.device):
            bare = self._placed(LanguageModel((), self.scale))
        tokens, x = self._tokens(self.new), self._features(self.new)
        backbone: Backbone = bare.backbone
        parts: dict[str, tuple[nn.Module, Callable[[], Tensor]]] = {
            EMBEDDING: (backbone.embedding, lambda: backbone.embedding(tokens)),
            NORM: (backbone.norm, lambda: backbone.norm(x)),
        }
        if name in parts:
            part, forward = parts[name]
            return self._trained(part, forward, x) if self.mode == "train" else self._inferred(forward)
        if self.mode == "train":
            targets = self._tokens(self.new)
            bare.backbone = _Given(x)
            return self._trained(bare, lambda: bare.loss(tokens, targets), x)
        return self._inferred(lambda: bare.head(x[:, -1]))

    def _placed(self, module: nn.Module) -> Any:
        """The module as its mode has it."""
        if self.mode == "train":
            return module.train()
        module.eval().requires_grad_(False)
        return module.to(torch.bfloat16) if self.halved else module

    def _tokens(self, positions: int) -> Tensor:
        drawn = torch.randint(self.scale.vocab_size, (self.batch, positions), generator=_chance())
        return drawn.to(self.device)

    def _features(self, positions: int) -> Tensor:
        """What blocks read; in training a leaf that takes a gradient, as what comes from an embedding does."""
        x = torch.randn(self.batch, positions, self.scale.d_model, generator=_chance()).to(self.device)
        if self.mode == "train":
            return x.requires_grad_()
        return x.to(torch.bfloat16) if self.halved else x

    def _inferred(self, forward: Callable[[], Tensor]) -> Call:
        return torch.inference_mode()(forward)

    def _trained(self, module: nn.Module, forward: Callable[[], Tensor], x: Tensor | None = None) -> Call:
        """Forward and backward pass; a gradient of ones comes to what is no loss."""
        leaves = [*module.parameters(), *([] if x is None else [x])]
        ones: list[Tensor] = []

        def call() -> Tensor:
            for leaf in leaves:
                leaf.grad = None
            with rounded(self.device, self.precision):
                y = forward()
            if not ones:
                ones.append(torch.ones_like(y))
            y.backward(ones[0])  # type: ignore[no-untyped-call]
            return y.detach()

        return call


class _Given(nn.Module):
    """A backbone whose features are there already."""

    def __init__(self, features: Tensor) -> None:
        super().__init__()
        self.features = features

    def forward(self, tokens: Tensor, documents: Tensor | None = None) -> Tensor:
        return self.features


def _through(stack: nn.ModuleList, x: Tensor) -> Tensor:
    for layer in stack:
        x = layer(x)
    return x


def _extended(stack: nn.ModuleList, x: Tensor, states: list[Any]) -> Tensor:
    following = []
    for layer, state in zip(stack, states, strict=True):
        x, state = layer.extend(x, state)  # type: ignore[operator]
        following.append(state)  # all of them live until the end, as in a model
    return x


def _chance() -> torch.Generator:
    return torch.Generator().manual_seed(0)
