"""Scales: the dimensions of a model at one size."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Section(BaseModel):
    """A part of a study: strict and frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Scale(Section):
    """All dimensions of a model but its layers. Units are elements unless a name says otherwise."""

    name: str
    d_model: int = Field(ge=1)
    n_heads: int = Field(ge=1)
    n_kv_heads: int = Field(ge=1)
    head_dim: int = Field(ge=1)
    d_ff: int = Field(ge=1)
    mlp: Literal["swiglu", "relu"] = "swiglu"
    d_ssm: int = Field(ge=1)
    d_state: int = Field(ge=1)
    ssm_head_dim: int = Field(ge=1)
    n_groups: int = Field(1, ge=1)
    d_conv: int = Field(4, ge=1)
    seq_len: int = Field(ge=1)
    vocab_size: int = Field(ge=2)
    tie_embeddings: bool = True
    tokens_per_step: int = Field(ge=1)
    rope_theta: float = 500_000.0
    source: str = ""
    # target: n layers or parameters a design should reach at this scale
    n_layers: int | None = None
    target_params: float | None = None


SCALES: dict[str, Scale] = {}
