"""One evaluation of the paper's proxy (six tasks, 16 layers, 800 x 200 epochs) on a GPU: measured, else predicted.

    python -m tests.benchmarks.bench_proxy_gpu

With a CUDA device, designs are evaluated with CUDA graphs and streams, and tasks alone by plain steps. Without one the
time is predicted for an H100 from the operations of a training step, which run here without data (device "meta"). Each
operation that computes is taken for one kernel; it lasts as long as the longest of

- its arithmetic at 40 % of 989 TFLOP/s (bf16),
- its operands at 70 % of 5.5 TB/s where they fit the second-level cache (50 MB), else of 3.35 TB/s,
- 2.5 microseconds, about the least between kernels of a graph.

"One after the other" adds all that up. "Side by side" is for tasks in streams of their own: no task takes less than its
own sum, and arithmetic and memory are shared. Attention and norms are PyTorch's fused kernels; Mamba-2 is counted by
its plain operations, of which mamba-ssm has fewer. Activations are taken for bf16, though the residual stream is fp32.
Capturing is assumed to take 2.4 s; starting, drawing data and scoring are not in it.
"""

import math
import os
import time
from dataclasses import dataclass
from typing import Any, cast
from unittest import mock

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from aira_lib.device import KERNELS_VARIABLE
from aira_lib.models.mad_model import mad_model
from aira_lib.proxy.cost import held_out, task_scale, task_settings
from aira_lib.proxy.evaluation import evaluate
from aira_lib.study import MADTaskName, ProxySection

DESIGNS = {"8(A-M)": ("A", "M") * 8, "16Mb": ("Mb",) * 16, "4(A-Mb-M-Mb)": ("A", "Mb", "M", "Mb") * 4}
FLOPS, LEAST = 0.4 * 989e12, 2.5e-6
CACHE, FROM_CACHE, FROM_MEMORY = 50e6, 0.7 * 5.5e12, 0.7 * 3.35e12
CAPTURING = 2.4
_VIEWS = {
    "view", "_unsafe_view", "t", "transpose", "permute", "expand", "slice", "select", "split", "split_with_sizes",
    "unsqueeze", "squeeze", "detach", "as_strided", "alias", "unbind", "view_as_real", "view_as_complex", "empty",
    "empty_like", "empty_strided", "new_empty", "lift_fresh",
}  # fmt: skip


@dataclass
class Work(TorchDispatchMode):
    """What the operations within take, by the limits above."""

    kernels: int = 0
    serial: float = 0.0
    shared: float = 0.0

    def __post_init__(self) -> None:
        super().__init__()

    def add(self, flops: float, operands: Any, kernels: int = 1) -> None:
        """Count one operation."""
        size = sum(t.numel() * t.element_size() for t in _tensors(operands))
        limit = max(flops / FLOPS, size / (FROM_CACHE if size < CACHE else FROM_MEMORY))
        self.kernels += kernels
        self.serial += max(limit, kernels * LEAST)
        self.shared += limit

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
    def forward(ctx: Any, work: Work, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        ctx.work, ctx.shape = work, q.shape
        out = torch.empty_like(q)
        work.add(_Attention.flops(q.shape), (q, k, v, out))
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        grads = [torch.empty_like(grad) for _ in range(3)]
        ctx.work.add(2.5 * _Attention.flops(ctx.shape), [grad, *grads, *grads], kernels=3)
        return None, *grads

    @staticmethod
    def flops(shape: tuple[int, ...]) -> float:
        batch, heads, length, head_dim = shape
        return 4 * batch * heads * length**2 * max(32, head_dim)  # whole tiles, of a padded head


def _tensors(value: Any) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    return [t for each in value for t in _tensors(each)] if isinstance(value, tuple | list) else []


def step_work(layers: tuple[str, ...], section: ProxySection, name: MADTaskName, batch: int) -> Work:
    """A training step on `batch` examples of a task."""
    settings = task_settings(section, name)
    scale = task_scale(section, settings)
    with torch.device("meta"):
        model = mad_model(name, layers, scale, kernel="torch").bfloat16()
        tokens = torch.zeros(batch, scale.seq_len, dtype=torch.int64)
    work = Work()

    def attend(q: Tensor, k: Tensor, v: Tensor, **_: Any) -> Tensor:
        return cast(Tensor, _Attention.apply(work, q, k, v))

    def norm(x: Tensor, shape: object, weight: Tensor | None = None, eps: float | None = None) -> Tensor:
        return cast(Tensor, _Norm.apply(work, x, torch.ones_like(x[0, 0]) if weight is None else weight))

    functional = "torch.nn.functional"
    fused_kernels = mock.patch.multiple(functional, scaled_dot_product_attention=attend, rms_norm=norm)
    with fused_kernels, work:
        torch.autograd.backward(model.loss(tokens, tokens))
    # AdamW, fused: weight, gradient and two moments in fp32, and the weights once more as bf16.
    work.add(0, [torch.empty(9 * sum(p.numel() for p in model.parameters()), dtype=torch.float16)] * 2, kernels=4)
    return work


def predict(design: str, section: ProxySection) -> None:
    """Print what an evaluation is predicted to take."""
    alone: list[float] = []
    shared, steps, kernels = 0.0, 0, 0.0
    kept = section.train_examples - held_out(section)
    for name in section.tasks:
        seconds = 0.0
        for examples in (kept, section.train_examples):
            full, rest = divmod(examples, section.batch_size)
            for batch, count in ((section.batch_size, full), (rest, 1 if rest else 0)):
                if count:
                    work, times = step_work(DESIGNS[design], section, name, batch), count * section.epochs
                    seconds += times * work.serial
                    shared += times * work.shared
                    steps, kernels = steps + times, kernels + times * work.kernels
        alone.append(seconds)
    together = max(max(alone), shared)
    print(
        f"{design:13} {steps:,} steps, {kernels / steps:,.0f} kernels a step: one after the other {sum(alone):.1f} s, "
        f"side by side {together:.1f} s, with capturing {together + CAPTURING:.1f} s (the limits of arithmetic and "
        f"memory alone: {shared:.1f} s)",
        flush=True,
    )


def measure(design: str, section: ProxySection) -> None:
    """Print the time of an evaluation, and that of one task by plain steps and by graphs."""
    layers = DESIGNS[design]
    evaluate(layers, section.model_copy(update={"epochs": 3, "tasks": section.tasks[:1]}), 0)
    found = evaluate(layers, section, 0)
    one = section.model_copy(update={"tasks": section.tasks[:1], "epochs": math.ceil(section.epochs / 10)})
    seconds = {}
    for kernels in ("plain", "fused"):
        os.environ[KERNELS_VARIABLE] = kernels
        started = time.perf_counter()
        evaluate(layers, one, 0)
        seconds[kernels] = time.perf_counter() - started
    ratio = seconds["plain"] / seconds["fused"]
    print(f"{design:13} {found.seconds:.1f} s for six tasks; graphs {ratio:.2f}x as fast as plain steps", flush=True)


if __name__ == "__main__":
    if torch.cuda.is_available():
        print(f"measured on {torch.cuda.get_device_name()}")
    else:
        print("no CUDA device: predicted for one H100 from its limits; nothing of this is measured")
    for name in DESIGNS:
        (measure if torch.cuda.is_available() else predict)(name, ProxySection())
