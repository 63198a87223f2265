"""Time and memory of the loss of a large vocabulary: in chunks against all logits at once, forward and backward.

    python -m tests.benchmarks.bench_loss [rows] [width] [vocabulary]

On a GPU the paper's 350M in bf16 unless sizes are given: 32768 1536 128256. On a CPU small sizes in fp32, and chunks of
an eighth of the rows. The two ways are interleaved; the least of the times counts. Memory is the most that is held at a
time beside what there was before: gradients of features and head are part of it, and alike.
"""

import sys
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from aira_lib.models import loss
from tests.live_memory import LiveMemory

REPEATS = 3


def chunked(features: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
    """The loss that is measured."""
    return loss.loss_sum(features, weight, None, targets)


def whole(features: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
    """The loss of all logits."""
    return loss.token_loss(F.linear(features, weight), targets, "sum")


def seconds(way: Callable[..., Tensor], parts: tuple[Tensor, ...], on_gpu: bool) -> float:
    """Of one loss with its gradients."""
    started = time.perf_counter()
    with torch.autocast("cuda", torch.bfloat16, enabled=on_gpu):
        way(*parts).backward()
    if on_gpu:
        torch.cuda.synchronize()
    return time.perf_counter() - started


def held(way: Callable[..., Tensor], parts: tuple[Tensor, ...], on_gpu: bool) -> int:
    """Bytes at most at a time."""
    if not on_gpu:
        with LiveMemory() as memory:
            seconds(way, parts, on_gpu)
        return memory.most
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    seconds(way, parts, on_gpu)
    return torch.cuda.max_memory_allocated() - before


def main() -> None:
    """Print both ways, and their ratios."""
    on_gpu = torch.cuda.is_available()
    given = [int(word) for word in sys.argv[1:]]
    rows, width, vocabulary = given or ([32_768, 1536, 128_256] if on_gpu else [512, 256, 32_000])
    if not on_gpu:
        loss.CHUNK_BYTES = rows // 8 * vocabulary * 4
        loss.PIECE = loss.CHUNK_BYTES // 16
    place = torch.device("cuda" if on_gpu else "cpu")
    features = torch.randn(rows, width, device=place, requires_grad=True)
    weight = (torch.randn(vocabulary, width, device=place) * width**-0.5).requires_grad_()
    parts = features, weight, torch.randint(0, vocabulary, (rows,), device=place)
    ways = {"whole": whole, "chunked": chunked}
    peaks: dict[str, int] = {}
    for name, way in ways.items():  # with no gradients there yet, so that both make them
        features.grad = weight.grad = None
        peaks[name] = held(way, parts, on_gpu)
    rounds = [{name: seconds(way, parts, on_gpu) for name, way in ways.items()} for _ in range(REPEATS)]
    times = {name: min(each[name] for each in rounds) for name in ways}
    for name in ways:
        print(f"{name:8} {times[name]:8.3f} s {peaks[name] / 2**20:10.1f} MiB")
    time_ratio, memory_ratio = (each["chunked"] / each["whole"] for each in (times, peaks))
    print(f"chunked: {time_ratio:.2f} of the time, {memory_ratio:.2f} of the memory")


if __name__ == "__main__":
    main()
