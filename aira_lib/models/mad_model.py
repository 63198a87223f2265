"""The models that mad-lab trains on the MAD tasks: a next-token model, and an autoencoder for compression."""

import torch
from torch import Tensor, nn

from aira_lib.architecture.scales import Scale
from aira_lib.models.language_model import Backbone, LanguageModel, init_weights, token_loss
from aira_lib.models.scan import Kernel


class AutoEncoder(nn.Module):
    """Reproduce the whole input from the features of its last position alone.

    Encoder of the design; its last position's features plus a fixed sine-cosine table of positions; a decoder of two
    linear layers with GELU, applied at each position; an unembedding with bias.
    """

    def __init__(
        self, layers: tuple[str, ...], scale: Scale, *, kernel: Kernel = "auto", init_std: float | None = None
    ) -> None:
        super().__init__()
        d = scale.d_model
        self.encoder = Backbone(layers, scale, kernel=kernel, init_std=init_std)
        self.decoder = nn.Sequential(nn.Linear(d, d), nn.GELU(), nn.Linear(d, d))
        self.head = nn.Linear(d, scale.vocab_size)
        init_weights(self.decoder, init_std or d**-0.5, 0)
        init_weights(self.head, init_std or d**-0.5, 0)
        self.register_buffer("positions", sine_cosine_table(scale.seq_len, d), persistent=False)
        self.positions: Tensor

    def forward(self, tokens: Tensor) -> Tensor:
        """Map token ids [batch, length] to logits [batch, length, vocab] of the same positions."""
        code = self.encoder(tokens)[:, -1:]
        return self.head(self.decoder(code + self.positions[: tokens.shape[1]]))  # type: ignore[no-any-return]

    def loss(self, tokens: Tensor, targets: Tensor) -> Tensor:
        """Mean cross-entropy in nats over the targets [batch, length] that are not IGNORE."""
        return token_loss(self(tokens), targets)


def sine_cosine_table(length: int, d_model: int) -> Tensor:
    """Positions [length, d_model]: sines in the even channels, cosines in the odd ones (Vaswani et al. 2017)."""
    frequencies = 10_000.0 ** (-torch.arange(0, d_model, 2, dtype=torch.float64) / d_model)
    angles = torch.outer(torch.arange(length, dtype=torch.float64), frequencies)
    return torch.stack((angles.sin(), angles.cos()), dim=-1).flatten(1)[:, :d_model].float()


MADModel = LanguageModel | AutoEncoder


def mad_model(
    task: str, layers: tuple[str, ...], scale: Scale, kernel: Kernel = "auto", init_std: float | None = None
) -> MADModel:
    """The model that mad-lab trains on a task; scale carries the task's own vocabulary and length."""
    if task == "compression":
        return AutoEncoder(layers, scale, kernel=kernel, init_std=init_std)
    untied = scale.model_copy(update={"tie_embeddings": False})
    return LanguageModel(layers, untied, kernel=kernel, init_std=init_std, head_bias=True)
