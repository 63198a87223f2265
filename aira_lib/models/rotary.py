"""Rotary position embeddings (RoPE, Su et al. 2021, arXiv 2104.09864), pairs of neighbouring channels, in real numbers.

Complex numbers would say the same in one product, and stop PyTorch's compiler.
"""

from functools import lru_cache
from math import pi

import torch
from torch import Tensor

from aira_lib.architecture.scales import RopeScaling
from aira_lib.models.kept import making

Table = tuple[Tensor, Tensor]
"""Cosines and signed sines, each [length, 1, head_dim]: they broadcast over the heads of `rotate`."""


def frequencies(head_dim: int, theta: float, scaling: RopeScaling | None = None) -> Tensor:
    """Radians a position of each pair of channels, [head_dim / 2] in fp64: theta^(-2j/head_dim), scaled if asked.

    Llama 3's scaling divides the frequencies whose wavelength is above original_length / low_freq_factor by `factor`,
    leaves those below original_length / high_freq_factor, and goes linearly from the one to the other between them
    (`apply_scaling` in github.com/meta-llama/llama-models).
    """
    plain = theta ** -(torch.arange(0, head_dim, 2, dtype=torch.float64) / head_dim)
    if scaling is None:
        return plain
    waves = scaling.original_length * plain / (2 * pi)  # in the length that a model was made for
    low, high = scaling.low_freq_factor, scaling.high_freq_factor
    kept = ((waves - low) / (high - low)).clamp(0, 1)
    return plain * (kept + (1 - kept) / scaling.factor)


@lru_cache(maxsize=32)
def rotary_table(
    length: int,
    head_dim: int,
    theta: float,
    dtype: torch.dtype,
    device: torch.device,
    scaling: RopeScaling | None = None,
) -> Table:
    """What `rotate` takes for positions 0 to length - 1; in fp64 where dtype is, else in fp32."""
    with making():
        angles = _angles(length, head_dim, theta, scaling)
        cosines, sines = angles.cos(), angles.sin()
        both = torch.stack((cosines, cosines), -1), torch.stack((-sines, sines), -1)
        wide = torch.float64 if dtype == torch.float64 else torch.float32
        first, second = (each.flatten(-2).unsqueeze(1).to(device=device, dtype=wide) for each in both)
        return first, second


@lru_cache(maxsize=32)
def rotary_pairs(length: int, head_dim: int, theta: float, scaling: RopeScaling | None = None) -> Tensor:
    """The same angles for the fused kernel: cosine and sine, pair by pair, [length, head_dim] in fp32."""
    with making():
        angles = _angles(length, head_dim, theta, scaling)
        return torch.stack((angles.cos(), angles.sin()), -1).flatten(-2).float()


def _angles(length: int, head_dim: int, theta: float, scaling: RopeScaling | None) -> Tensor:
    return torch.outer(torch.arange(length, dtype=torch.float64), frequencies(head_dim, theta, scaling))


def rotate(x: Tensor, table: Table) -> Tensor:
    """Turn each pair of neighbouring channels of x by its position's angle (RoPE in the interleaved convention).

    Args:
        x: queries or keys [batch, length, heads, head_dim], head_dim even.
        table: from `rotary_table`, for the same length.
    """
    cosines, sines = table
    swapped = x.reshape(*x.shape[:-1], -1, 2).flip(-1).flatten(-2)
    return (x * cosines + swapped * sines).to(x.dtype)  # products are in the table's type: no copy of x in it is made
