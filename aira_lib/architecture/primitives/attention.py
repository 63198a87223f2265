"""A: causal multi-head self-attention over the whole sequence."""

from aira_lib.architecture.primitives.primitive import Primitive
from aira_lib.architecture.scales import Scale


def params(scale: Scale) -> int:
    """Queries and output, keys and values; no biases."""
    return 2 * scale.d_model * scale.q_dim + 2 * scale.d_model * scale.kv_dim


def flops(scale: Scale, seen: int) -> int:
    """The paper's (4) where a position's scores count `seen` positions: 6 (2d² + 2d kv) + 12 seen d."""
    return 6 * params(scale) + 12 * seen * scale.q_dim


def causal_flops(scale: Scale, window: int) -> int:
    """As `flops`, where position t of S sees min(t, window) positions: with no window (S + 1) / 2 in the mean."""
    length = scale.seq_len
    window = min(window, length)
    seen = window * (window + 1) // 2 + (length - window) * window  # over all positions of a sequence
    return 6 * params(scale) + round(12 * seen * scale.q_dim / length)


def cache_values(scale: Scale, held: int) -> int:
    """Keys and values of `held` positions."""
    return 2 * scale.kv_dim * held


ATTENTION = Primitive(
    symbol="A",
    name="attention",
    words="causal multi-head self-attention",
    colour="#0072b2",
    ink="#ffffff",
    params=params,
    flops=lambda scale: flops(scale, scale.seq_len),
    causal_flops=lambda scale: causal_flops(scale, scale.seq_len),
    module="aira_lib.models.attention:Attention",
    documents=True,
    spellings=("mA",),
    cache_values=cache_values,
    cpu_flops_per_second=9e10,
    cpu_seconds_per_layer_step=1.5e-3,
)
