"""Time steps of the trainer on the small language model: fused CPU kernels against eager PyTorch.

    python -m tests.benchmarks.bench_trainer [repeats] [--scale NAME]

Each repeat times a step each way, in turn, so that load from elsewhere falls on all alike. Printed are the medians of
the paired ratios, with the quartiles. The target on two CPU cores is 1.3 on the small language model. GPUs:
bench_trainer_gpu.
"""

import argparse
import os
import statistics
import time
from collections.abc import Iterator

import numpy as np
import torch

from aira_lib.architecture.pattern import parse
from aira_lib.architecture.scales import Scale, scale_named
from aira_lib.datasets.batches import ArraySource, Batches
from aira_lib.extrapolate.stage import describe
from aira_lib.pretrain.points import pretraining_points
from aira_lib.records import PretrainPoint
from aira_lib.study import PretrainSection
from aira_lib.training.one_device import OneDeviceTrainer
from aira_lib.training.trainer import StepResult

DESIGNS = {"Llama style": "4(A-M)", "hybrid": "2(Mb-M-A-M)"}
WAYS = {"eager": "plain", "fused": ""}


def point_of(pattern: str, scale: Scale, steps: int) -> PretrainPoint:
    """A training of a design."""
    layers = parse(pattern)
    design = describe("x", base="x", kind="find", method="stretch", layers=layers, scale=scale, trainable=True)
    tokens = {"scale": scale.name, "tokens": steps * scale.tokens_per_step, "seeds": [0]}
    return pretraining_points(PretrainSection.model_validate({"isotoken": tokens}), [design])[0]


def steps_of(pattern: str, scale: Scale, way: str, device: str, section: PretrainSection) -> Iterator[StepResult]:
    """The steps of a trainer whose kernels are chosen by a way, one at each `next`."""
    tokens = np.random.default_rng(0).integers(0, min(scale.vocab_size, 2**15), 4_000_000)
    data = Batches(ArraySource(tokens, scale.vocab_size, 0), scale.seq_len, scale.tokens_per_step // scale.seq_len, 0)
    os.environ["AIRA_KERNELS"] = WAYS[way]
    return OneDeviceTrainer(section, point_of(pattern, scale, 10_000), data, device).run()


def seconds(steps: Iterator[StepResult], way: str) -> float:
    """Of one step."""
    os.environ["AIRA_KERNELS"] = WAYS[way]
    start = time.perf_counter()
    next(steps)
    return time.perf_counter() - start


def compare(name: str, pattern: str, scale: Scale, repeats: int) -> None:
    """Print how many times as fast as eager PyTorch the fused kernels are."""
    running = {way: steps_of(pattern, scale, way, "cpu", PretrainSection()) for way in WAYS}
    for way, steps in running.items():
        next(steps)  # compiles
        seconds(steps, way)
    times = [{way: seconds(steps, way) for way, steps in running.items()} for _ in range(repeats)]
    low, middle, high = statistics.quantiles([each["eager"] / each["fused"] for each in times], n=4)
    took = {way: statistics.median(each[way] for each in times) for way in WAYS}
    shown = ", ".join(f"{way} {value * 1e3:.0f} ms" for way, value in took.items())
    print(f"{scale.name:6} {name:12} {pattern:14} {shown}: {middle:.2f}x ({low:.2f} to {high:.2f})", flush=True)


def main() -> None:
    """See the module's docstring."""
    parser = argparse.ArgumentParser()
    parser.add_argument("repeats", nargs="?", type=int, default=11)
    parser.add_argument("--scale", default="small")
    given = parser.parse_args()
    print(f"{torch.get_num_threads()} threads")
    for name, pattern in DESIGNS.items():
        compare(name, pattern, scale_named(given.scale, 3), given.repeats)


if __name__ == "__main__":
    main()
