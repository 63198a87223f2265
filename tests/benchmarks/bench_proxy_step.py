"""Time a training step of 16-layer designs: plain eager PyTorch in fp32 against the fused kernels in fp32 and bf16.

    python -m tests.benchmarks.bench_proxy_step [repeats] [--accuracy]

Steps are interleaved, so that load from elsewhere falls on all alike; the least of the times counts. With --accuracy
the final accuracies of plain and of fast training are compared as well, over three designs and five seeds (minutes).
"""

import itertools
import math
import os
import statistics
import sys
import time
from collections.abc import Callable

import torch

from aira_lib.models.language_model import parameter_groups
from aira_lib.models.mad_model import mad_model
from aira_lib.models.optimizer import EagerAdamW
from aira_lib.proxy.cost import task_scale, task_settings
from aira_lib.study import ProxySection
from aira_lib.tasks.profile import LAPTOP

DESIGNS = {
    "8(A-M)": ("A", "M") * 8,
    "16Mb": ("Mb",) * 16,
    "4(Mb-A-M-M)": ("Mb", "A", "M", "M") * 4,
    "4(A-Mb-M-Mb)": ("A", "Mb", "M", "Mb") * 4,
}
WAYS = {"plain fp32": ("torch", "fp32"), "fused fp32": ("auto", "fp32"), "fused bf16": ("auto", "bf16")}


def stepper(layers: tuple[str, ...], section: ProxySection, kernel: str, precision: str) -> Callable[[], None]:
    """One optimizer step on a batch of in-context recall."""
    torch.manual_seed(0)
    scale = task_scale(section, task_settings(section, "in-context-recall"))
    model = mad_model("in-context-recall", layers, scale, kernel=kernel)  # type: ignore[arg-type]
    optimizer = EagerAdamW(parameter_groups(model, 0.0), lr=1e-4, fused=True)
    tokens = torch.randint(0, scale.vocab_size, (section.batch_size, scale.seq_len))

    def step() -> None:
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            loss = model.loss(tokens, tokens)
        torch.autograd.backward(loss)
        optimizer.step()

    return step


def compare(section: ProxySection, name: str, repeats: int) -> None:
    """Print the least times of a step of each design, each way."""
    for design, layers in DESIGNS.items():
        steps = {way: stepper(layers, section, *how) for way, how in WAYS.items()}
        times: dict[str, list[float]] = {way: [] for way in steps}
        for repeat in range(repeats + 1):
            for way, step in steps.items():
                start = time.perf_counter()
                step()
                if repeat:  # the first compiles
                    times[way].append(time.perf_counter() - start)
        least = {way: min(values) for way, values in times.items()}
        shown = ", ".join(
            f"{way} {seconds * 1e3:.1f} ms ({least['plain fp32'] / seconds:.2f}x)" for way, seconds in least.items()
        )
        print(f"{name:7} {design:13} {shown}", flush=True)


# The paper's width and depth on short sequences: there plain training of 15 designs takes minutes, not days.
SHORT = LAPTOP.model_copy(
    update={
        "d_model": 128, "n_heads": 16, "d_ff": 512, "d_state": 128, "learning_rate": 1e-3, "epochs": 30,
        "tasks": ("in-context-recall", "selective-copying"),
    }
)  # fmt: skip


def accuracies(seeds: int = 5) -> None:
    """Print final validation accuracies of plain and of fast training, seed by seed, and how far they differ."""
    from aira_lib.proxy.evaluation import evaluate

    ways = {"plain fp32": ("fp32", "plain"), "fused bf16": ("bf16", "fused")}
    for design in ("8(A-M)", "16Mb", "4(A-Mb-M-Mb)"):
        found: dict[str, list[float]] = {way: [] for way in ways}
        for seed, (way, (precision, kernels)) in itertools.product(range(seeds), ways.items()):
            os.environ["AIRA_KERNELS"] = kernels
            section = SHORT.model_copy(update={"precision": precision})
            scored = evaluate(DESIGNS[design], section, seed, torch.get_num_threads())
            found[way].append(math.nan if scored.validation is None else scored.validation)
        for way, scores in found.items():
            print(f"{design:13} {way}: {_spread(scores)} ({', '.join(f'{score:.3f}' for score in scores)})")
        differences = [fast - plain for plain, fast in zip(*found.values(), strict=True)]
        print(f"{design:13} fused less plain, seed by seed: {_spread(differences)}", flush=True)


def _spread(values: list[float]) -> str:
    return f"{statistics.mean(values):+.4f} +- {statistics.stdev(values):.4f}"


if __name__ == "__main__":
    repeats = next((int(a) for a in sys.argv[1:] if a.isdigit()), 5)
    print(f"{torch.get_num_threads()} threads; width 128, batch 128, length 127 (paper) and the laptop profile")
    compare(ProxySection(), "paper", repeats)
    compare(LAPTOP, "laptop", 4 * repeats)
    if "--accuracy" in sys.argv:
        accuracies()
