"""The causal language model: embedding, residual layers named by a design, final norm, head."""

from collections.abc import Sequence
from functools import cache
from pkgutil import resolve_name
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from aira_lib.architecture.primitives import PRIMITIVES
from aira_lib.architecture.primitives.primitive import Module
from aira_lib.architecture.scales import NORM_EPS, Scale
from aira_lib.errors import UserError
from aira_lib.models import fused, loss
from aira_lib.models.loss import IGNORE, token_loss
from aira_lib.models.masks import Documents
from aira_lib.models.scan import Kernel

__all__ = ["IGNORE", "Backbone", "LanguageModel", "RMSNorm", "init_weights", "parameter_groups", "token_loss"]


class RMSNorm(nn.RMSNorm):
    """RMSNorm whose CPU kernel is one pass; under autocast it hands on bf16, as its reader would."""

    def __init__(self, d_model: int, kernel: Kernel, eps: float = NORM_EPS) -> None:
        super().__init__(d_model, eps=eps)
        self.kernel, self.epsilon = kernel, eps

    def forward(self, x: Tensor) -> Tensor:
        """Normalise the last axis of x."""
        if not fused.usable(x, self.kernel) or self.weight.dtype != torch.float32:
            return super().forward(x.to(self.weight.dtype))  # PyTorch warns of two types, and takes a slower way
        from aira_lib.models.fused.norm import rms_norm

        return rms_norm(x, self.weight, self.epsilon, torch.bfloat16 if torch.is_autocast_enabled("cpu") else x.dtype)


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
        UserError: there is no such primitive, its module cannot be imported, or does not name its output projection.
    """

    def __init__(self, primitive: str, scale: Scale, kernel: Kernel) -> None:
        super().__init__()
        self.primitive = PRIMITIVES.named(primitive)
        self.norm = RMSNorm(scale.d_model, kernel, scale.norm_eps)
        self.mixer: nn.Module = _builder(primitive, self.primitive.module)(scale, kernel=kernel)
        self.output_projection = _output_projection(primitive, self.mixer)

    def forward(self, x: Tensor, documents: Documents | None = None) -> Tensor:
        """Map [batch, length, d_model] to the same shape; nothing passes from one document to another."""
        if documents is None or not self.primitive.mixes:
            return x + self.mixer(self.norm(x))  # type: ignore[no-any-return]
        PRIMITIVES.require_documents((self.primitive.symbol,))
        return x + self.mixer(self.norm(x), documents=documents)  # type: ignore[no-any-return]

    def extend(self, x: Tensor, state: Any) -> tuple[Tensor, Any]:
        """The same for the next positions of a sequence; the mixer's state is None at the beginning."""
        if not self.primitive.mixes:
            return self(x), None
        if not hasattr(self.mixer, "extend"):
            raise UserError(f"primitive {self.primitive.symbol!r} cannot decode: its module has no method `extend`")
        mixed, state = self.mixer.extend(self.norm(x), state)  # type: ignore[operator]
        return x + mixed, state


def _output_projection(symbol: str, mixer: nn.Module) -> str | None:
    """The name of a mixer's output projection, None where it has none."""
    name: Any = getattr(mixer, "output_projection", 0)
    if name is None or isinstance(dict(mixer.named_modules()).get(name), nn.Linear):
        return name  # type: ignore[no-any-return]
    raise UserError(
        f"primitive {symbol!r}: its module names no output projection; give it `output_projection`, the name of its "
        "last Linear, whose initial weights shrink with depth, or None"
    )


class Backbone(nn.Module):
    """Embedding, the layers and a final RMSNorm. There is no position embedding: attention is rotary.

    Args:
        layers: primitives such as "A" and "Mb", first layer first.
        scale: dimensions.
        kernel: "auto" is the fastest that is here; "torch" is plain PyTorch, which FSDP needs (see `scan.Kernel`).
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
        self.norm: nn.Module = RMSNorm(scale.d_model, kernel, scale.norm_eps) if final_norm else nn.Identity()
        init_weights(self, init_std or scale.d_model**-0.5, len(layers))

    def forward(self, tokens: Tensor, documents: Tensor | None = None) -> Tensor:
        """Map token ids [batch, length] to features [batch, length, d_model].

        Args:
            tokens: packed rows, where documents are given.
            documents: which document each position belongs to [batch, length], between which nothing passes; None: all
                of a row is one.

        Raises:
            UserError: a layer cannot keep documents apart.
        """
        x, apart = self.embedding(tokens), None if documents is None else Documents(documents)
        for layer in self.layers:
            if self.recompute and self.training:
                x = checkpoint(layer, x, apart, use_reentrant=False)
            else:
                x = layer(x, apart)
        return self.norm(x)  # type: ignore[no-any-return]

    def extend(self, tokens: Tensor, states: Sequence[Any]) -> tuple[Tensor, list[Any]]:
        """Features of the next tokens [batch, new] of a sequence, and the layers' next states."""
        x, following = self.embedding(tokens), []
        for layer, state in zip(self.layers, states, strict=True):
            x, state = layer.extend(x, state)  # type: ignore[operator]
            following.append(state)
        return self.norm(x), following


def init_weights(module: nn.Module, std: float, n_layers: int) -> None:
    """Draw all matrices from N(0, std), output projections from N(0, std / sqrt(n_layers)); biases of Linear are 0.

    Only Linear and Embedding: Mamba-2's convolution, A_log, D and dt_bias keep their own initial values.
    """
    layers = (part for part in module.modules() if isinstance(part, ResidualLayer))
    projections = {id(each.mixer.get_submodule(each.output_projection)) for each in layers if each.output_projection}
    for part in module.modules():
        if isinstance(part, nn.Linear | nn.Embedding):
            shrinks = id(part) in projections and n_layers
            nn.init.normal_(part.weight, std=std / n_layers**0.5 if shrinks else std)
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

    def forward(self, tokens: Tensor, documents: Tensor | None = None) -> Tensor:
        """Map token ids [batch, length] to logits [batch, length, vocab]; logits at t see tokens up to t.

        Documents are as of `Backbone.forward`, here and below.
        """
        return self.head(self.backbone(tokens, documents))  # type: ignore[no-any-return]

    def loss(self, tokens: Tensor, targets: Tensor, documents: Tensor | None = None) -> Tensor:
        """Mean cross-entropy in nats over the targets [batch, length] that are not `IGNORE`."""
        if loss.fits(targets, self.head.out_features):
            return token_loss(self(tokens, documents), targets)
        total, count = self.loss_sum(tokens, targets, documents)
        return total / count

    def loss_sum(self, tokens: Tensor, targets: Tensor, documents: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The sum of the cross-entropies in nats, and the number of targets that are not `IGNORE`.

        For a mean over several micro-batches, or several devices, of unlike numbers of targets. Where logits would be
        many they are made in chunks (`aira_lib.models.loss`). A head that FSDP shards is whole within forward passes
        alone: call it through one, or register it by `torch.distributed.fsdp.register_fsdp_forward_method`.
        """
        features, count = self.backbone(tokens, documents), (targets != IGNORE).sum()
        if loss.fits(targets, self.head.out_features):
            return token_loss(self.head(features), targets, "sum"), count
        return loss.loss_sum(features, self.head.weight, self.head.bias, targets), count

    def token_losses(self, tokens: Tensor, targets: Tensor, documents: Tensor | None = None) -> Tensor:
        """The cross-entropy in nats of each target [batch, length], 0 where it is `IGNORE`; logits are made in chunks.

        No gradient.
        """
        with torch.no_grad():
            features = self.backbone(tokens, documents)
        return loss.token_losses(features, self.head.weight, self.head.bias, targets)


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
