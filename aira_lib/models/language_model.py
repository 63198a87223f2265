"""The causal language model: embedding, residual layers named by a design, final norm, head."""

from functools import cache
from pkgutil import resolve_name
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from aira_lib.architecture.primitives import PRIMITIVES
from aira_lib.architecture.primitives.primitive import Module
from aira_lib.architecture.scales import Scale
from aira_lib.errors import UserError
from aira_lib.models import fused
from aira_lib.models.scan import Kernel

IGNORE = -100
NORM_EPS = 1e-5


class RMSNorm(nn.RMSNorm):
    """RMSNorm whose CPU kernel is one pass; under autocast it hands on bf16, as its reader would."""

    def __init__(self, d_model: int, kernel: Kernel) -> None:
        super().__init__(d_model, eps=NORM_EPS)
        self.kernel = kernel

    def forward(self, x: Tensor) -> Tensor:
        """Normalise the last axis of x."""
        if not fused.usable(x, self.kernel):
            return super().forward(x.to(self.weight.dtype))  # PyTorch warns of two types, and takes a slower way
        from aira_lib.models.fused.norm import rms_norm

        return rms_norm(x, self.weight, NORM_EPS, torch.bfloat16 if torch.is_autocast_enabled("cpu") else x.dtype)


@cache
def _builder(symbol: str, module: Module) -> Any:
    """What builds the layers of a primitive, imported where only its name is known."""
    try:
        return resolve_name(module) if isinstance(module, str) else module
    except (ImportError, AttributeError, ValueError) as error:
        raise UserError(f"primitive {symbol!r}: its module {module!r} cannot be imported: {error}") from None


class ResidualLayer(nn.Module):
    """x + mixer(RMSNorm(x)): one symbol of a design, such as A, is one such layer.

    Raises:
        UserError: there is no such primitive, or its module cannot be imported.
    """

    def __init__(self, primitive: str, scale: Scale, kernel: Kernel) -> None:
        super().__init__()
        self.norm = RMSNorm(scale.d_model, kernel)
        self.mixer: nn.Module = _builder(primitive, PRIMITIVES.named(primitive).module)(scale, kernel=kernel)

    def forward(self, x: Tensor) -> Tensor:
        """Map [batch, length, d_model] to the same shape."""
        return x + self.mixer(self.norm(x))  # type: ignore[no-any-return]


class Backbone(nn.Module):
    """Embedding, the layers and a final RMSNorm. There is no position embedding: attention is rotary.

    Args:
        layers: primitives such as "A" and "Mb", first layer first.
        scale: dimensions.
        kernel: "torch" for plain PyTorch; else fused kernels where they are installed (see also `Mamba2`).
        init_std: standard deviation of all weight matrices; None is d_model**-0.5 (the paper states none). Output
            projections get init_std / sqrt(layers), as GPT-2's do by the number of residual branches. Meta's lingua
            has d_model**-0.5 as well, but cut off at three deviations, d_ff**-0.5 for a projection that comes from a
            hidden layer of that width, and by default no division by depth.
        recompute: keep only the layers' inputs for the backward pass (activation checkpointing).
        final_norm: whether a norm follows the last layer.
    """

    def __init__(
        self,
        layers: tuple[str, ...],
        scale: Scale,
        *,
        kernel: Kernel = "auto",
        init_std: float | None = None,
        recompute: bool = False,
        final_norm: bool = True,
    ) -> None:
        super().__init__()
        self.recompute = recompute
        self.embedding = nn.Embedding(scale.vocab_size, scale.d_model)
        self.layers = nn.ModuleList(ResidualLayer(primitive, scale, kernel) for primitive in layers)
        self.norm: nn.Module = RMSNorm(scale.d_model, kernel) if final_norm else nn.Identity()
        init_weights(self, init_std or scale.d_model**-0.5, len(layers))

    def forward(self, tokens: Tensor) -> Tensor:
        """Map token ids [batch, length] to features [batch, length, d_model]."""
        x = self.embedding(tokens)
        for layer in self.layers:
            x = checkpoint(layer, x, use_reentrant=False) if self.recompute and self.training else layer(x)
        return self.norm(x)  # type: ignore[no-any-return]


def init_weights(module: nn.Module, std: float, n_layers: int) -> None:
    """Draw all matrices from N(0, std), output projections from N(0, std / sqrt(n_layers)); biases of Linear are 0.

    Only Linear and Embedding: Mamba-2's convolution, A_log, D and dt_bias keep their own initial values.
    """
    for name, part in module.named_modules():
        if isinstance(part, nn.Linear | nn.Embedding):
            nn.init.normal_(part.weight, std=std / n_layers**0.5 if name.endswith("mixer.out") and n_layers else std)
        if isinstance(part, nn.Linear) and part.bias is not None:
            nn.init.zeros_(part.bias)


class LanguageModel(nn.Module):
    """A next-token model of a design at a scale; arguments as of `Backbone`.

    The head is the embedding itself where the scale ties them, else a matrix of its own, with a bias if asked
    (mad-lab's unembedding has one).
    """

    def __init__(
        self,
        layers: tuple[str, ...],
        scale: Scale,
        *,
        kernel: Kernel = "auto",
        init_std: float | None = None,
        recompute: bool = False,
        head_bias: bool = False,
    ) -> None:
        super().__init__()
        self.backbone = Backbone(layers, scale, kernel=kernel, init_std=init_std, recompute=recompute)
        self.head = nn.Linear(scale.d_model, scale.vocab_size, bias=head_bias)
        init_weights(self.head, init_std or scale.d_model**-0.5, 0)
        if scale.tie_embeddings:
            self.head.weight = self.backbone.embedding.weight

    def forward(self, tokens: Tensor) -> Tensor:
        """Map token ids [batch, length] to logits [batch, length, vocab]; logits at t see tokens up to t."""
        return self.head(self.backbone(tokens))  # type: ignore[no-any-return]

    def loss(self, tokens: Tensor, targets: Tensor) -> Tensor:
        """Mean cross-entropy in nats over the targets [batch, length] that are not `IGNORE`."""
        return token_loss(self(tokens), targets)


def token_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Mean cross-entropy in nats of logits [batch, length, vocab], in fp32, where targets are not `IGNORE`."""
    logits = logits if logits.dtype == torch.float64 else logits.float()
    return F.cross_entropy(logits.flatten(0, -2), targets.flatten(), ignore_index=IGNORE)


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, object]]:
    """Parameters for an optimizer: weight decay on Linear matrices only.

    Norms, biases, the convolution, A_log, D, dt_bias and the embedding are spared; so is a tied head. Decaying an
    embedding shrinks rare tokens for no reason of the loss; decaying A_log pulls all memories to one length.
    """
    matrices = {id(m.weight) for m in model.modules() if isinstance(m, nn.Linear)}
    embeddings = {id(m.weight) for m in model.modules() if isinstance(m, nn.Embedding)}
    decayed = [p for p in model.parameters() if id(p) in matrices - embeddings]
    spared = [p for p in model.parameters() if id(p) not in matrices - embeddings]
    return [{"params": decayed, "weight_decay": weight_decay}, {"params": spared, "weight_decay": 0.0}]
