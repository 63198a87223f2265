"""The models that mad-lab trains on the MAD tasks: a next-token model, and an autoencoder for compression.

Norms, order of layers and initial values are those of its benchmark (github.com/athms/mad-lab, commit 0f49a45); what a
layer does inside is the paper's, see docs/proxies.md for all that differs.
"""

import torch
from torch import Tensor, nn

from aira_lib.architecture.scales import Scale
from aira_lib.models.language_model import Backbone, LanguageModel, RMSNorm, init_weights, token_loss
from aira_lib.models.scan import Kernel

STD = 0.02
"""Of the embeddings, and in the autoencoder of all matrices."""


class AutoEncoder(nn.Module):
    """Reproduce the whole input from the features of its last position alone.

    The design's layers without a norm behind them; their last position's features plus a fixed table of positions; a
    decoder norm, linear, GELU, norm, linear, GELU, applied at each position; a norm and an unembedding with bias. All
    matrices and the embedding start from N(0, 0.02), output projections too; biases from 0.
    """

    def __init__(self, layers: tuple[str, ...], scale: Scale, *, kernel: Kernel = "auto") -> None:
        super().__init__()
        d = scale.d_model
        self.encoder = Backbone(layers, scale, kernel=kernel, final_norm=False)
        self.decoder = nn.Sequential(
            RMSNorm(d, kernel), nn.Linear(d, d), nn.GELU(), RMSNorm(d, kernel), nn.Linear(d, d), nn.GELU()
        )
        self.norm = RMSNorm(d, kernel)
        self.head = nn.Linear(d, scale.vocab_size)
        init_weights(self, STD, 0)
        self.register_buffer("positions", sine_cosine_table(scale.seq_len, d), persistent=False)
        self.positions: Tensor

    def forward(self, tokens: Tensor) -> Tensor:
        """Map token ids [batch, length] to logits [batch, length, vocab] of the same positions."""
        code = self.encoder(tokens)[:, -1:]
        return self.head(self.norm(self.decoder(code + self.positions[: tokens.shape[1]])))  # type: ignore[no-any-return]

    def loss(self, tokens: Tensor, targets: Tensor) -> Tensor:
        """Mean cross-entropy in nats over the targets [batch, length] that are not IGNORE."""
        return token_loss(self(tokens), targets)


def sine_cosine_table(length: int, d_model: int) -> Tensor:
    """Positions [length, d_model]: sines in the first half of the channels, cosines of the same angles in the second.

    Wavelengths go from 2 pi to 20,000 pi, both included, as in fairseq, from which mad-lab has them; an odd channel is
    left 0.
    """
    half = d_model // 2
    frequencies = 10_000.0 ** (-torch.arange(half, dtype=torch.float64) / max(half - 1, 1))
    angles = torch.outer(torch.arange(length, dtype=torch.float64), frequencies)
    return nn.functional.pad(torch.cat((angles.sin(), angles.cos()), dim=1), (0, d_model % 2)).float()


MADModel = LanguageModel | AutoEncoder


def mad_model(task: str, layers: tuple[str, ...], scale: Scale, kernel: Kernel = "auto") -> MADModel:
    """The model that mad-lab trains on a task; scale carries the task's own vocabulary and length."""
    if task == "compression":
        return AutoEncoder(layers, scale, kernel=kernel)
    untied = scale.model_copy(update={"tie_embeddings": False})
    model = LanguageModel(layers, untied, kernel=kernel, head_bias=True)
    _start_as_mad_lab(model)
    return model


def _start_as_mad_lab(model: LanguageModel) -> None:
    """Embeddings from N(0, 0.02), matrices as PyTorch draws them (uniform up to fan_in**-0.5), biases 0."""
    for part in model.modules():
        if isinstance(part, nn.Embedding):
            nn.init.normal_(part.weight, std=STD)
        elif isinstance(part, nn.Linear):
            part.reset_parameters()
            if part.bias is not None:
                nn.init.zeros_(part.bias)
