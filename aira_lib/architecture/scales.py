"""Scales: the dimensions of a model at one size.

The values stand in ``data/scales.csv``, each row with its source: the paper's 350M, 1B and 3B for two and for three
primitives, and small scales that train on two CPU cores. A study may define further ones under its key `scales`; the
small-scale model that scores designs is the study's `proxy` section.
"""

from functools import cache
from typing import Any, Literal

from pydantic import Field, model_validator

from aira_lib.architecture.tables import read_table
from aira_lib.errors import UserError, nearest
from aira_lib.section import Section

SCALE_NAMES = ("350M", "1B", "3B", "nano", "micro", "mini", "small")
PAPER_SCALES = ("350M", "1B", "3B")
NORM_EPS = 1e-5
"""What norms of layers add to the mean of squares, unless a scale says otherwise."""


class RopeScaling(Section):
    """Llama 3's stretching of rotary frequencies for contexts beyond the original length.

    The defaults are Llama 3.2's; github.com/meta-llama/llama-models has the formula, and so `aira_lib.models.rotary`.
    """

    factor: float = Field(32.0, ge=1)
    low_freq_factor: float = Field(1.0, gt=0)
    high_freq_factor: float = Field(4.0, gt=0)
    original_length: int = Field(8192, ge=1)

    @model_validator(mode="after")
    def _low_is_below_high(self) -> "RopeScaling":
        if self.low_freq_factor >= self.high_freq_factor:
            raise ValueError(
                f"low_freq_factor {self.low_freq_factor:g} is not below high_freq_factor {self.high_freq_factor:g}"
            )
        return self


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
    rope_theta: float = Field(500_000.0, gt=0)
    rope_scaling: RopeScaling | None = None
    norm_eps: float = Field(NORM_EPS, gt=0)
    window: int | None = Field(None, ge=1)
    """Positions that window attention sees, itself included; None: `attention_window`. The paper has no such layer.
    Mistral 7B and Gemma 2 take half of the context they were made for (4,096 of 8,192). At our lengths of some dozen
    tokens a half would leave little outside of the window, so ours is a quarter."""
    source: str = ""
    # target: n layers or parameters a design should reach at this scale
    n_layers: int | None = Field(None, ge=1)
    target_params: float | None = Field(None, gt=0)

    @model_validator(mode="after")
    def _dimensions_divide(self) -> "Scale":
        for name, whole, part_name, part in (
            ("n_heads", self.n_heads, "n_kv_heads", self.n_kv_heads),
            ("d_ssm", self.d_ssm, "ssm_head_dim", self.ssm_head_dim),
            ("the number of SSM heads", self.n_ssm_heads, "n_groups", self.n_groups),
        ):
            if whole % part:
                raise ValueError(f"{name} {whole} is not a multiple of {part_name} {part}")
        return self

    def require_trainable(self, tokens: int) -> None:
        """Refuse what could not be trained on text of so many kinds of tokens.

        Raises:
            ValueError: what is wrong, for a study's reader to add the place.
        """
        if self.head_dim % 2:
            raise ValueError(f"head_dim {self.head_dim} is odd, and rotary embeddings turn pairs of channels")
        if self.vocab_size < tokens:
            raise ValueError(f"vocab_size {self.vocab_size} is smaller than the {tokens} kinds of tokens of the text")
        if self.tokens_per_step % self.seq_len:
            raise ValueError(f"tokens_per_step {self.tokens_per_step} is not a multiple of seq_len {self.seq_len}")
        if self.n_layers is None and self.target_params is None:
            raise ValueError("it says no depth: give it n_layers or target_params")

    @property
    def q_dim(self) -> int:
        """Width of all query heads together; equal to d_model at the paper's scales."""
        return self.n_heads * self.head_dim

    @property
    def kv_dim(self) -> int:
        """Width of all key heads together, and of all value heads."""
        return self.n_kv_heads * self.head_dim

    @property
    def attention_window(self) -> int:
        """Positions that window attention sees: `window`, or a quarter of the training length and at least 1."""
        return self.window or max(1, self.seq_len // 4)

    @property
    def n_ssm_heads(self) -> int:
        """Heads of a Mamba-2 layer."""
        return self.d_ssm // self.ssm_head_dim

    @property
    def conv_dim(self) -> int:
        """Channels of the convolution of a Mamba-2 layer: x, B and C."""
        return self.d_ssm + 2 * self.n_groups * self.d_state


def scale_named(name: str, n_primitives: int) -> Scale:
    """Return a scale of `SCALE_NAMES`.

    `n_primitives` is that of the search space, not of one design: the paper gives its MLPs another width in its space
    of two and in that of three (AIRAhybrid-A has no attention and belongs to three). More than three, of which the
    paper has none, take the widths of 3. At 2, the Mamba-2 dimensions, which the paper's designs of two primitives do
    not use, are those of 3.

    Raises:
        UserError: no such scale, or fewer than two primitives.
    """
    if n_primitives < 2:
        raise UserError(f"scale {name!r}: a search space has at least 2 primitives, not {n_primitives}")
    if name not in SCALE_NAMES:
        raise UserError(f"unknown scale {name!r}{nearest(name, SCALE_NAMES)}")
    return _scales()[name, min(n_primitives, 3)]


@cache
def _scales() -> dict[tuple[str, int], Scale]:
    scales = {}
    for row in read_table("scales"):
        values: dict[str, Any] = {key: value for key, value in row.items() if value and key != "primitives"}
        for primitives in row["primitives"].split(" or "):
            scales[row["name"], int(primitives)] = Scale.model_validate(values)
    return scales
