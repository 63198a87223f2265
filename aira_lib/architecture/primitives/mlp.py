"""M: a feed-forward block on every position alone, gated or not."""

from aira_lib.architecture.primitives.primitive import Primitive
from aira_lib.architecture.scales import Scale


def params(scale: Scale) -> int:
    """Three matrices of SwiGLU, two of the ReLU block; no biases."""
    return (3 if scale.mlp == "swiglu" else 2) * scale.d_model * scale.d_ff


MLP = Primitive(
    symbol="M",
    name="MLP",
    words="MLP (two linear maps with a non-linearity between them)",
    colour="#e69f00",
    ink="#1f2328",
    params=params,
    flops=lambda scale: 6 * params(scale),  # the paper's (5), 18 d h of SwiGLU
    module="aira_lib.models.mlp:MLP",
    mixes=False,
    cpu_flops_per_second=1.8e11,
    cpu_seconds_per_layer_step=1.3e-3,
)
