"""Mb: Mamba-2, a selective state-space layer."""

from aira_lib.architecture.primitives.primitive import Primitive
from aira_lib.architecture.scales import Scale


def params(scale: Scale) -> int:
    """The projections, the convolution with its bias, A, D and dt bias a head, and the gated norm."""
    d, d_ssm, heads = scale.d_model, scale.d_ssm, scale.n_ssm_heads
    return d * (d_ssm + scale.conv_dim + heads) + scale.conv_dim * (scale.d_conv + 1) + 3 * heads + d_ssm + d_ssm * d


def flops(scale: Scale) -> int:
    """The paper's (6): 6d (2 d_ssm + 2GN + H) + 6K (d_ssm + 2GN) + 12 d_ssm N + 6 d_ssm d."""
    d, d_ssm = scale.d_model, scale.d_ssm
    return (
        6 * d * (d_ssm + scale.conv_dim + scale.n_ssm_heads)
        + 6 * scale.d_conv * scale.conv_dim
        + 12 * d_ssm * scale.d_state
        + 6 * d_ssm * d
    )


def state_values(scale: Scale) -> int:
    """A state of d_state for each of d_ssm channels, and the last K - 1 inputs of the convolution."""
    return memory_values(scale) + (scale.d_conv - 1) * scale.conv_dim


def memory_values(scale: Scale) -> int:
    """The state of the scan alone."""
    return scale.d_ssm * scale.d_state


MAMBA2 = Primitive(
    symbol="Mb",
    name="Mamba-2",
    words="Mamba-2 (a selective state-space layer)",
    colour="#0f7b5f",
    ink="#ffffff",
    params=params,
    flops=flops,
    module="aira_lib.models.mamba2:Mamba2",
    documents=True,
    state_values=state_values,
    wide_params=lambda scale: 3 * scale.n_ssm_heads,  # A, D and dt bias
    wide_state_values=memory_values,
    dimensions=lambda scale: f"Mamba-2 state {scale.d_state}, expansion {scale.d_ssm // scale.d_model}",
    cpu_flops_per_second=9e10,
    cpu_seconds_per_layer_step=2.6e-3,
)
