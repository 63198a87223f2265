"""One evaluation of the paper's proxy (six tasks, 16 layers, 800 x 200 epochs) on a GPU: measured, else predicted.

    python -m tests.benchmarks.bench_proxy_gpu

With a CUDA device, designs are evaluated with CUDA graphs and streams, and tasks alone by plain steps. Without one the
time is predicted for an H100 from the operations of a training step (see `tests.benchmarks.roofline`).

"One after the other" adds all that up. "Side by side" is for tasks in streams of their own: no task takes less than its
own sum, and arithmetic and memory are shared. Mamba-2 is counted by its plain operations, of which GPU kernels have
fewer. Activations are taken for bf16, though the residual stream is fp32. Capturing is assumed to take 2.4 s; starting,
drawing data and scoring are not in it.
"""

import math
import os
import time

import torch

from aira_lib.device import KERNELS_VARIABLE
from aira_lib.models.mad_model import mad_model
from aira_lib.proxy.cost import held_out, task_scale, task_settings
from aira_lib.proxy.evaluation import evaluate
from aira_lib.study import MADTaskName, ProxySection
from tests.benchmarks.roofline import Work, counting

DESIGNS = {"8(A-M)": ("A", "M") * 8, "16Mb": ("Mb",) * 16, "4(A-Mb-M-Mb)": ("A", "Mb", "M", "Mb") * 4}
CAPTURING = 2.4


def step_work(layers: tuple[str, ...], section: ProxySection, name: MADTaskName, batch: int) -> Work:
    """A training step on `batch` examples of a task."""
    settings = task_settings(section, name)
    scale = task_scale(section, settings)
    with torch.device("meta"):
        model = mad_model(name, layers, scale, kernel="torch").bfloat16()
        tokens = torch.zeros(batch, scale.seq_len, dtype=torch.int64)
    work = Work()
    with counting(work):
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
