"""Fused CPU kernels of the small models' slow parts, compiled by numba at first use (extra `fast`).

Plain PyTorch runs a norm, a rotary attention or a scan as many passes over memory; at the widths of a proxy these
cost more than the matrix products. Each module here holds one kernel with its own backward pass, for fp32 and bf16.
Nothing here is imported unless `usable` said so; the plain code stays the reference that tests compare with.
"""

import math
import os
from functools import cache

import torch
from torch import Tensor

from aira_lib.device import KERNELS_VARIABLE, kernels


def installed() -> bool:
    """Whether the kernels can be compiled here: numba is installed and AIRA_KERNELS is not "plain"."""
    return _installed(os.environ.get(KERNELS_VARIABLE))


@cache
def _installed(asked: str | None) -> bool:  # looking for a package takes longer than a small kernel
    return kernels("cpu") == "fused"


def finite(*tensors: Tensor) -> bool:
    """Whether all elements are finite, as far as sums tell: one that overflows counts as if they were not.

    The kernels' arithmetic takes it for granted. An exponential or a maximum would swallow a NaN and hide that a
    training has diverged; plain PyTorch hands it on.
    """
    return all(math.isfinite(tensor.detach().sum().item()) for tensor in tensors)


def usable(x: Tensor, kernel: str) -> bool:
    """Whether a fused kernel takes this tensor: on a CPU, fp32 or bf16, and not told to use plain PyTorch."""
    return kernel != "torch" and x.device.type == "cpu" and x.dtype in (torch.float32, torch.bfloat16) and installed()
