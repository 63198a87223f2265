"""The ``config.json`` of a Llama-format checkpoint, as a scale: what our model cannot express is refused by name."""

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from aira_lib.architecture.scales import RopeScaling, Scale
from aira_lib.errors import UserError
from aira_lib.exchange.config_errors import first_of
from aira_lib.exchange.file_names import CONFIG

FAMILIES = ("llama", "mistral")
"""Values of ``model_type`` whose layers are those of Llama: RMSNorm, rotary attention, SwiGLU."""

_MISTRAL_WINDOW = 4096
"""What transformers takes for a Mistral whose config does not say."""


class LlamaConfig(BaseModel):
    """The fields of a ``config.json`` that say what is computed; defaults are those of transformers' LlamaConfig.

    Transformers 5 writes `rope_parameters`, those before it `rope_theta` and `rope_scaling`.
    """

    model_config = ConfigDict(extra="ignore", strict=True, allow_inf_nan=False)

    model_type: str
    hidden_size: int = Field(ge=1)
    intermediate_size: int = Field(ge=1)
    num_hidden_layers: int = Field(ge=1)
    num_attention_heads: int = Field(ge=1)
    num_key_value_heads: int | None = Field(None, ge=1)
    head_dim: int | None = Field(None, ge=1)
    vocab_size: int = Field(ge=2)
    max_position_embeddings: int = Field(2048, ge=1)
    rms_norm_eps: float = Field(1e-6, gt=0)
    tie_word_embeddings: bool = False
    hidden_act: str = "silu"
    attention_bias: bool = False
    mlp_bias: bool = False
    rope_theta: float = Field(10_000.0, gt=0)
    rope_scaling: dict[str, Any] | None = None
    rope_parameters: dict[str, Any] | None = None
    partial_rotary_factor: float = 1.0
    quantization_config: dict[str, Any] | None = None

    @property
    def rope(self) -> dict[str, Any]:
        """The settings of the rotary embedding in the names of transformers 5."""
        old = self.rope_scaling or {}
        found = {"rope_theta": self.rope_theta, "rope_type": old.get("type", "default"), **old}
        return {**found, **(self.rope_parameters or {})}


def read_config(folder: Path) -> dict[str, Any]:
    """The ``config.json`` of a folder.

    Raises:
        UserError: there is none, or it is no JSON object.
    """
    path = folder / CONFIG
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}; a checkpoint is a folder with it and *.safetensors") from None
    except ValueError:
        raise UserError(f"{path}: not JSON; fetch the checkpoint again") from None
    if not isinstance(found, dict):
        raise UserError(f"{path}: not the settings of a model; fetch the checkpoint again")
    return found


def llama_config(content: dict[str, Any], place: Path) -> LlamaConfig:
    """Check the config of a Llama-format checkpoint.

    Args:
        content: of the file.
        place: the file, for errors.

    Raises:
        UserError: another family of models, a field that is missing or is no such value, or a feature that our layers
            do not have; one line that names it.
    """
    family = content.get("model_type")
    if family not in FAMILIES:
        raise UserError(f"{place}: model_type {family!r} cannot be read; {' and '.join(FAMILIES)} can, and our exports")
    try:
        config = LlamaConfig.model_validate(content)
    except ValidationError as error:
        raise UserError(f"{place}: {first_of(error)}; fetch the checkpoint again") from None
    if unlike := _unlike_ours(config, content):
        raise UserError(f"{place}: {unlike}, which our layers do not have; this checkpoint cannot be imported")
    return config


def llama_scale(config: LlamaConfig, name: str, place: Path) -> Scale:
    """The dimensions of a Llama-format checkpoint, its context as training length.

    How many tokens a step had is not known: one window stands there. No layer has the Mamba-2 dimensions.

    Raises:
        UserError: dimensions that do not fit each other.
    """
    heads, width = config.num_attention_heads, config.hidden_size
    try:
        return Scale(
            name=name, d_model=width, n_heads=heads, n_kv_heads=config.num_key_value_heads or heads,
            head_dim=config.head_dim or width // heads, d_ff=config.intermediate_size, d_ssm=width, d_state=1,
            ssm_head_dim=width, seq_len=config.max_position_embeddings, vocab_size=config.vocab_size,
            tie_embeddings=config.tie_word_embeddings, tokens_per_step=config.max_position_embeddings,
            rope_theta=config.rope["rope_theta"], rope_scaling=_scaling(config.rope), norm_eps=config.rms_norm_eps,
            source="imported; its Mamba-2 dimensions are of no layer, tokens_per_step is one window",
            n_layers=2 * config.num_hidden_layers,
        )  # fmt: skip
    except ValidationError as error:
        raise UserError(f"{place}: {first_of(error)}; fetch the checkpoint again") from None


def _scaling(rope: dict[str, Any]) -> RopeScaling | None:
    if rope["rope_type"] == "default":
        return None
    return RopeScaling(
        factor=rope.get("factor"), low_freq_factor=rope.get("low_freq_factor"),
        high_freq_factor=rope.get("high_freq_factor"), original_length=rope.get("original_max_position_embeddings"),
    )  # fmt: skip


def _unlike_ours(config: LlamaConfig, content: dict[str, Any]) -> str:
    """What a config asks for that our model cannot express; empty where there is nothing."""
    rope, heads = config.rope, config.num_attention_heads
    window = content.get("sliding_window", _MISTRAL_WINDOW if config.model_type == "mistral" else None)
    wrong = {
        "attention_bias: biases of attention": config.attention_bias,
        "mlp_bias: biases of the MLP": config.mlp_bias,
        f"hidden_act {config.hidden_act!r}": config.hidden_act not in ("silu", "swish"),
        f"sliding_window {window}": window is not None,
        f"rope_type {rope['rope_type']!r}": rope["rope_type"] not in ("default", "llama3"),
        "partial_rotary_factor": config.partial_rotary_factor != 1 or rope.get("partial_rotary_factor", 1) != 1,
        "quantization_config: quantised weights": config.quantization_config is not None,
        "an odd head_dim": bool((config.head_dim or config.hidden_size // heads) % 2),
        "heads that do not fill hidden_size": not config.head_dim and bool(config.hidden_size % heads),
    }
    return next((what for what, has in wrong.items() if has), "")
