"""What an exported model is written as: one of transformers' own classes where there is one, else files of ours.

Of all classes of transformers only Llama's computes what a design of ours does, and only (A-M)n with SwiGLU: those with
Mamba-2 layers put an MLP behind each mixer, have no rotary embedding, or run two mixers at once.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import aira_lib.exchange.shipped
from aira_lib.architecture.pattern import Layers
from aira_lib.architecture.scales import Scale
from aira_lib.errors import UserError
from aira_lib.exchange.llama_weights import halves, llama_sources

SHIPPED = ("configuration_aira.py", "layers_aira.py", "modeling_aira.py")
BUILT_IN = ("A", "W", "M", "Mb")
WIDE = ("A_log", "D", "dt_bias")
"""Parameters of Mamba-2 that stay in fp32: decays multiply over a whole text."""


@dataclass(frozen=True)
class Format:
    """How a model is written.

    Attributes:
        config: the fields of ``config.json`` that say what is computed.
        tensors: the weights by their names there.
        files: which lie beside.
    """

    config: dict[str, Any]
    tensors: dict[str, Tensor]
    files: tuple[str, ...] = ()

    def write_files(self, folder: Path) -> None:
        """Copy the files that lie beside."""
        for name in self.files:
            shutil.copy(Path(aira_lib.exchange.shipped.__file__).parent / name, folder / name)


def check_layers(layers: Layers) -> None:
    """Refuse layers that an exported model has no code for.

    Raises:
        UserError: the first such layer.
    """
    if own := next((symbol for symbol in layers if symbol not in BUILT_IN), None):
        raise UserError(
            f"primitive {own!r} is of your own: what loads an exported model knows {', '.join(BUILT_IN)} alone; load "
            "this one by AIRA, or export another design"
        )


def format_of(layers: Layers, scale: Scale, state: dict[str, Tensor], dtype: torch.dtype) -> Format:
    """A model in the format that other tools load.

    Args:
        layers: of its design, all built in.
        scale: its dimensions.
        state: of `LanguageModel`.
        dtype: of the weights; `WIDE` stay in fp32 at least.
    """
    if fits_llama(layers, scale):
        return Format(_llama_config(scale, len(layers) // 2), rounded(to_llama(scale, len(layers) // 2, state), dtype))
    untied = {name: tensor for name, tensor in state.items() if not (scale.tie_embeddings and name == "head.weight")}
    return Format(_own_config(layers, scale), rounded(untied, dtype), SHIPPED)


def rounded(tensors: dict[str, Tensor], dtype: torch.dtype) -> dict[str, Tensor]:
    """The tensors in a type, `WIDE` in fp32."""
    return {
        name: tensor.to(torch.float32 if name.rpartition(".")[2] in WIDE else dtype) for name, tensor in tensors.items()
    }


def fits_llama(layers: Layers, scale: Scale) -> bool:
    """Whether LlamaForCausalLM computes what the design does; its config wants heads that divide the width."""
    blocks = len(layers) // 2
    return layers == ("A", "M") * blocks and scale.mlp == "swiglu" and scale.d_model % scale.n_heads == 0


def to_llama(scale: Scale, n_blocks: int, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a Llama-format checkpoint, from those of (A-M) `n_blocks` times; a tied head is left out."""
    made: dict[str, Tensor] = {}
    for name, parts in llama_sources(scale, n_blocks).items():
        rows = [source.shape[0] for source in parts.values()]
        for (theirs, source), piece in zip(parts.items(), torch.split(state[name], rows), strict=True):
            made[theirs] = halves(piece, source.heads).clone()  # no two tensors of a file may share memory
    return made


def _llama_config(scale: Scale, n_blocks: int) -> dict[str, Any]:
    """Rotary settings as transformers wrote them before 5, which later versions and other tools read as well."""
    scaling = scale.rope_scaling
    stretched = scaling and {
        "rope_type": "llama3", "factor": scaling.factor, "low_freq_factor": scaling.low_freq_factor,
        "high_freq_factor": scaling.high_freq_factor, "original_max_position_embeddings": scaling.original_length,
    }  # fmt: skip
    return {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": scale.vocab_size,
        "hidden_size": scale.d_model, "intermediate_size": scale.d_ff, "num_hidden_layers": n_blocks,
        "num_attention_heads": scale.n_heads, "num_key_value_heads": scale.n_kv_heads, "head_dim": scale.head_dim,
        "hidden_act": "silu", "max_position_embeddings": scale.seq_len, "rms_norm_eps": scale.norm_eps,
        "rope_theta": scale.rope_theta, "rope_scaling": stretched, "attention_bias": False, "mlp_bias": False,
        "tie_word_embeddings": scale.tie_embeddings,
    }  # fmt: skip


def _own_config(layers: Layers, scale: Scale) -> dict[str, Any]:
    return {
        "architectures": ["AiraForCausalLM"], "model_type": "aira",
        "auto_map": {
            "AutoConfig": "configuration_aira.AiraConfig",
            "AutoModel": "modeling_aira.AiraModel",
            "AutoModelForCausalLM": "modeling_aira.AiraForCausalLM",
        },
        "layers": list(layers), "vocab_size": scale.vocab_size, "d_model": scale.d_model, "n_heads": scale.n_heads,
        "n_kv_heads": scale.n_kv_heads, "head_dim": scale.head_dim, "window": scale.attention_window,
        "rotary_theta": scale.rope_theta,
        "rotary_scaling": scale.rope_scaling and scale.rope_scaling.model_dump(),
        "d_ff": scale.d_ff, "mlp": scale.mlp, "d_ssm": scale.d_ssm, "d_state": scale.d_state,
        "ssm_head_dim": scale.ssm_head_dim, "n_groups": scale.n_groups, "d_conv": scale.d_conv,
        "norm_eps": scale.norm_eps, "max_position_embeddings": scale.seq_len,
        "tie_word_embeddings": scale.tie_embeddings,
    }  # fmt: skip
