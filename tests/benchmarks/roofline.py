"""What the operations of a training step take on an H100, by its limits: for predictions where there is none.

The step runs without data (device "meta"). Each operation that computes is taken for one kernel; it lasts as long as
the longest of

- its arithmetic at 40 % of 989 TFLOP/s (bf16), or at another share that is given,
- its operands at 70 % of 5.5 TB/s where they fit the second-level cache (50 MB), else of 3.35 TB/s,
- 2.5 microseconds, about the least between kernels of a graph.

Attention and norms are counted as PyTorch's fused kernels, which on "meta" would be counted by their parts.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast
from unittest import mock

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

PEAK, SHARE, LEAST = 989e12, 0.4, 2.5e-6
CACHE, FROM_CACHE, FROM_MEMORY = 50e6, 0.7 * 5.5e12, 0.7 * 3.35e12
_VIEWS = {
    "view", "_unsafe_view", "t", "transpose", "permute", "expand", "slice", "select", "split", "split_with_sizes",
    "unsqueeze", "squeeze", "detach", "as_strided", "alias", "unbind", "view_as_real", "view_as_complex", "empty",
    "empty_like", "empty_strided", "new_empty", "lift_fresh",
}  # fmt: skip


@dataclass
class Work(TorchDispatchMode):
    """What the operations within take in seconds, by the limits above.

    One after the other with their starts (`serial`), without starts (`shared`), those with matrix products alone.
    """

    share: float = SHARE
    kernels: int = 0
    serial: float = 0.0
    shared: float = 0.0
    products: float = 0.0

    def __post_init__(self) -> None:
        super().__init__()

    def add(self, flops: float, operands: Any, kernels: int = 1) -> None:
        """Count one operation."""
        size = sum(t.numel() * t.element_size() for t in _tensors(operands))
        limit = max(flops / (self.share * PEAK), size / (FROM_CACHE if size < CACHE else FROM_MEMORY))
        self.kernels += kernels
        self.serial += max(limit, kernels * LEAST)
        self.shared += limit
        self.products += limit if flops else 0.0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operation and count it."""
        out = function(*args, **(kwargs or {}))
        if function.overloadpacket.__name__ not in _VIEWS:
            flops = flop_registry.get(function.overloadpacket)
            self.add(flops(*args, **(kwargs or {}), out_val=out) if flops else 0.0, (args, out))
        return out


class _Norm(torch.autograd.Function):
    """PyTorch's fused RMSNorm: on "meta" its parts would be counted."""

    @staticmethod
    def forward(ctx: Any, work: Work, x: Tensor, weight: Tensor) -> Tensor:
        ctx.work = work
        ctx.save_for_backward(x, weight)
        work.add(0.0, (x, x))
        return torch.empty_like(x)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        ctx.work.add(0.0, (grad, x, x), kernels=2)
        return None, torch.empty_like(x), torch.empty_like(weight)


class _Attention(torch.autograd.Function):
    """PyTorch's flash attention: on "meta" its plain operations would be counted, which write all scores."""

    @staticmethod
    def forward(ctx: Any, work: Work, q: Tensor, k: Tensor, v: Tensor, seen: float) -> Tensor:
        ctx.work, ctx.shapes, ctx.flops = work, (q.shape, k.shape, v.shape), seen * _Attention.flops(q.shape)
        out = torch.empty_like(q)
        work.add(ctx.flops, (q, k, v, out))
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        grads = [grad.new_empty(shape) for shape in ctx.shapes]
        ctx.work.add(2.5 * ctx.flops, [grad, *grads, *grads], kernels=3)
        return None, *grads, None

    @staticmethod
    def flops(shape: tuple[int, ...]) -> float:
        batch, heads, length, head_dim = shape
        return 4 * batch * heads * length**2 * max(32, head_dim)  # whole tiles, of a padded head


def _tensors(value: Any) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    return [t for each in value for t in _tensors(each)] if isinstance(value, tuple | list) else []


@contextmanager
def counting(work: Work, seen: float = 1.0) -> Iterator[None]:
    """Count what is computed inside the block; of the scores of attention a kernel computes the share `seen`."""

    def attend(q: Tensor, k: Tensor, v: Tensor, **_: Any) -> Tensor:
        return cast(Tensor, _Attention.apply(work, q, k, v, seen))

    def norm(x: Tensor, shape: object, weight: Tensor | None = None, eps: float | None = None) -> Tensor:
        return cast(Tensor, _Norm.apply(work, x, torch.ones_like(x[0, 0]) if weight is None else weight))

    fused_kernels = {"scaled_dot_product_attention": attend, "rms_norm": norm}
    with mock.patch.multiple("torch.nn.functional", **fused_kernels), work:
        yield
