"""The ``config.json`` of a model that AIRA exported in a format of its own: layers and dimensions, as they were."""

from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from aira_lib.architecture.pattern import Layers
from aira_lib.architecture.scales import RopeScaling, Scale
from aira_lib.errors import UserError
from aira_lib.exchange.config_errors import first_of
from aira_lib.exchange.formats import check_layers
from aira_lib.exchange.llama_weights import Source, Sources
from aira_lib.models.language_model import LanguageModel

OWN = "aira"
"""The ``model_type`` of that format."""


class OwnConfig(BaseModel):
    """The fields that say what is computed; what transformers adds to them is no part of it."""

    model_config = ConfigDict(extra="ignore", strict=True, allow_inf_nan=False)

    layers: list[str] = Field(min_length=1)
    vocab_size: int
    d_model: int
    n_heads: int
    n_kv_heads: int
    head_dim: int
    window: int
    rotary_theta: float
    rotary_scaling: dict[str, Any] | None
    d_ff: int
    mlp: Literal["swiglu", "relu"]
    d_ssm: int
    d_state: int
    ssm_head_dim: int
    n_groups: int
    d_conv: int
    norm_eps: float
    max_position_embeddings: int
    tie_word_embeddings: bool


def own_design(content: dict[str, Any], name: str, place: Path) -> tuple[Layers, Scale]:
    """Layers and scale of a config of our own format; a step's tokens are not in it, and one window stands there.

    Args:
        content: of the file.
        name: of the scale.
        place: the file, for errors.

    Raises:
        UserError: a field that is missing or is no such value, or a layer that is not built in.
    """
    try:
        config = OwnConfig.model_validate(content)
        dimensions = config.model_dump(
            exclude={"layers", "rotary_theta", "rotary_scaling", "max_position_embeddings", "tie_word_embeddings"}
        )
        scale = Scale(
            name=name, **dimensions, seq_len=config.max_position_embeddings,
            tie_embeddings=config.tie_word_embeddings, tokens_per_step=config.max_position_embeddings,
            rope_theta=config.rotary_theta, n_layers=len(config.layers),
            rope_scaling=None if config.rotary_scaling is None else RopeScaling(**config.rotary_scaling),
            source="imported; tokens_per_step is one window",
        )  # fmt: skip
    except ValidationError as error:
        raise UserError(f"{place}: {first_of(error)}; export the model again") from None
    check_layers(tuple(config.layers))
    return tuple(config.layers), scale


def own_sources(layers: Layers, scale: Scale) -> Sources:
    """All tensors of a model, which are called alike on both sides; a tied head is the embedding."""
    with torch.device("meta"):
        state = LanguageModel(layers, scale).state_dict()
    tied = {"head.weight": "backbone.embedding.weight"} if scale.tie_embeddings else {}
    return {name: {tied.get(name, name): Source(tuple(tensor.shape))} for name, tensor in state.items()}
