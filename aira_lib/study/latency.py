"""How fast designs are, and at which sizes of a batch that is measured."""

from typing import Annotated, Literal

from pydantic import Field

from aira_lib.device import Precision
from aira_lib.section import Distinct, Section, Some

LatencyMode = Literal["prefill", "decode", "train"]


class LatencySection(Section):
    """Times of single blocks, their sums by designs, and beside these the whole models, on the device at hand.

    `scale` is one that the study trains or describes; `batch` sequences of `seq_len` tokens (None: the scale's own) are
    prefilled, or trained on (forward and backward pass, without the optimizer's step); `decode` adds one token to each
    of that many of that length. The paper sums blocks (its section on the Pareto front), and does not say at which
    batch. In bf16 (the default on CUDA; fp32 on a CPU) prefill and decode have bf16 weights, and training fp32 weights
    whose products are rounded. Each block and design is measured `repeats` times; one that would take longer than
    `seconds` in a mode less often, three times at least.
    """

    scale: str
    batch: int = Field(1, ge=1)
    seq_len: int | None = Field(None, ge=1)
    modes: Annotated[tuple[LatencyMode, ...], Some, Distinct] = ("prefill", "decode", "train")
    precision: Precision | None = None
    repeats: int = Field(20, ge=3)
    seconds: float = Field(60.0, gt=0)
