"""Training at 350M in bf16, sequence 8192, on one GPU: tokens a second and the share of its peak (MFU).

    python -m tests.benchmarks.bench_trainer_gpu

Measured on a CUDA device, where the targets are 45 % of an H100 for a Llama-style design and 35 % for a hybrid. Without
one both are predicted for an H100 from the operations of a step (see `tests.benchmarks.roofline`), with these shares of
the peak instead: 60 % in matrix products, 35 % in attention. Mamba-2's scan is counted as fla-core's kernels do it, in
chunks of 64, its arithmetic at 20 %. The prediction is between two: every tensor in bf16, and every tensor in fp32. In
a training products and what they leave are bf16, the residual stream and norms fp32; elementwise operations are counted
one by one, as they run without compilation.
"""

import statistics
from contextlib import nullcontext
from typing import Any, cast
from unittest import mock

import torch
from torch import Tensor

from aira_lib.architecture.cost import true_flops_per_token
from aira_lib.architecture.pattern import parse
from aira_lib.architecture.scales import Scale, scale_named
from aira_lib.models.language_model import LanguageModel
from aira_lib.study import PretrainSection
from aira_lib.training.throughput import peak
from tests.benchmarks.bench_trainer import seconds, steps_of
from tests.benchmarks.roofline import PEAK, Work, counting

DESIGNS = {"Llama style": "14(A-M)", "hybrid": "5(Mb-M-Mb-M-A-M)"}
ROWS = 4
PRODUCTS, ATTENTION, SCAN, CHUNK = 0.60, 0.35, 0.20, 64


class _Scan(torch.autograd.Function):
    """The chunked scan of fla-core: B and C are written out for every head, states for every chunk."""

    @staticmethod
    def forward(ctx: Any, work: Work, x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor) -> Tensor:
        ctx.work, ctx.saved = work, (x, dt, A, B, C)
        batch, length, heads, head_dim = x.shape
        d_state, out = B.shape[-1], torch.empty_like(x)
        each = x.new_empty(batch, length, heads, d_state)
        states = x.new_empty(batch, length // CHUNK, heads, d_state, head_dim)
        flops = 2 * x[..., 0].numel() * (CHUNK * (d_state + head_dim) + 2 * d_state * head_dim)
        ctx.flops, ctx.operands = flops * PRODUCTS / SCAN, [each, each, each, x, x, states, states, out]
        work.add(0.0, [each, each, x, x], kernels=3)  # B and C for every head, and dt x
        work.add(ctx.flops, ctx.operands, kernels=2)
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        ctx.work.add(2.5 * ctx.flops, [*ctx.operands, *ctx.operands, grad], kernels=5)
        return None, *(torch.empty_like(each) for each in ctx.saved)


def pass_work(pattern: str, scale: Scale, dtype: torch.dtype) -> tuple[Work, int]:
    """Of a forward and a backward pass over `ROWS` windows; and the parameters."""
    with torch.device("meta"):
        model = LanguageModel(parse(pattern), scale, kernel="torch").to(dtype)
        tokens = torch.zeros(ROWS, scale.seq_len, dtype=torch.int64)
    work = Work(PRODUCTS)

    def scan(x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, *_: Any) -> Tensor:
        return cast(Tensor, _Scan.apply(work, x, dt, A, B, C))

    no_autocast = mock.patch.multiple(  # of which "meta" knows nothing
        torch, autocast=lambda *_, **__: nullcontext(), is_autocast_enabled=lambda *_: False
    )
    # A causal kernel leaves out half of the scores.
    of_scores = 0.5 * PRODUCTS / ATTENTION
    with no_autocast, mock.patch("aira_lib.models.mamba2.ssd", scan), counting(work, of_scores):
        torch.autograd.backward(model.loss(tokens, tokens))
    return work, sum(each.numel() for each in model.parameters())


def predict(name: str, pattern: str, scale: Scale) -> None:
    """Print what an H100 is predicted to do, in tokens a second and as the share of its peak."""
    passes = scale.tokens_per_step // (ROWS * scale.seq_len)
    wide, narrow = (pass_work(pattern, scale, dtype) for dtype in (torch.float32, torch.bfloat16))
    optimizer = Work()  # AdamW, fused: weight, gradient and two moments, in fp32
    optimizer.add(0.0, [torch.empty(7 * wide[1], device="meta")])
    found = []
    for of_a_pass in (wide[0].serial, narrow[0].serial, narrow[0].products):
        rate = scale.tokens_per_step / (passes * of_a_pass + optimizer.serial)
        found.append(f"{rate:,.0f} tokens/s ({rate * true_flops_per_token(parse(pattern), scale) / PEAK:.0%})")
    print(
        f"{scale.name:6} {name:12} {pattern:18} {found[0]} to {found[1]}; were all but products free, {found[2]}",
        flush=True,
    )


def measure(name: str, pattern: str, scale: Scale, repeats: int = 11) -> None:
    """Print tokens a second and the share of the device's peak, by true FLOPs."""
    steps = steps_of(pattern, scale, "fused", "cuda", PretrainSection(micro_batch_tokens=ROWS * scale.seq_len))
    next(steps), next(steps)
    rate = scale.tokens_per_step / statistics.median(seconds(steps, "fused") for _ in range(repeats))
    fastest = peak(torch.device("cuda"), "bf16")
    used = f"{rate * true_flops_per_token(parse(pattern), scale) / fastest:.1%}" if fastest else "no peak known"
    print(f"{scale.name:6} {name:12} {pattern:18} {rate:,.0f} tokens/s, {used} of {torch.cuda.get_device_name()}")


if __name__ == "__main__":
    if not torch.cuda.is_available():
        print("no CUDA device: predicted for one H100 from its limits; nothing of this is measured")
    for name, pattern in DESIGNS.items():
        (measure if torch.cuda.is_available() else predict)(name, pattern, scale_named("350M", 2 + ("Mb" in pattern)))
