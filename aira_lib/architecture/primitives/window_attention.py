"""W: causal self-attention within a sliding window.

The paper has no such layer. Window attention goes back to Longformer (Beltagy et al. 2020); Mistral 7B (Jiang et al.
2023) has a window of 4,096 for a context of 8,192, and Gemma 2 (2024) alternates layers of the same window with layers
that see everything. See `Scale.window` for ours.
"""

from aira_lib.architecture.primitives import attention
from aira_lib.architecture.primitives.primitive import Primitive
from aira_lib.architecture.scales import Scale


def flops(scale: Scale) -> int:
    """As attention's, with min(window, S) positions in place of the S that formula (4) counts."""
    return attention.flops(scale, min(scale.attention_window, scale.seq_len))


def cache_values(scale: Scale, context: int) -> int:
    """Keys and values of the positions that the next one can see beside itself."""
    return attention.cache_values(scale, min(scale.attention_window - 1, context))


def dimensions(scale: Scale) -> str:
    """The window; that of a quarter of the length is not told in numbers, since data sets differ in length."""
    return f"attention window {'a quarter of the sequence' if scale.window is None else scale.window}"


WINDOW_ATTENTION = Primitive(
    symbol="W",
    name="window attention",
    words="causal multi-head self-attention in which a position sees itself and only the nearest positions before it",
    colour="#56b4e9",
    ink="#1f2328",
    params=attention.params,
    flops=flops,
    causal_flops=lambda scale: attention.causal_flops(scale, scale.attention_window),
    module="aira_lib.models.attention:WindowAttention",
    documents=True,
    cache_values=cache_values,
    dimensions=dimensions,
    # Without a fused kernel: three times as long a step as attention at width 32, 1.5 times at width 128.
    cpu_flops_per_second=5e10,
    cpu_seconds_per_layer_step=4e-3,
)
