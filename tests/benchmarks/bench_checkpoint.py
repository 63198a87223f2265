"""How long a save of a checkpoint stalls training: written at once, and beside training; one process, and as ranks do.

A state of the given size, two thirds of it the optimizer's as with AdamW, saved in turn both ways into a folder. What
counts is the time until `save` returns, and the goal is the ratio: beside training at most half of at once. Beside it
stands what a step of matrix products takes while a save is going on and while none is, on the same core.

Run: python -m tests.benchmarks.bench_checkpoint [MEGABYTES] [REPEATS] [FOLDER]
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from aira_lib.training.checkpoint import Checkpoints
from aira_lib.training.checkpoint.sharded import ShardedCheckpoints

GOAL = 0.5
TENSORS = 24


def made(megabytes: int) -> dict[str, list[dict[str, Any]]]:
    """Weights and two moments of each."""
    rows = max(1, megabytes * 1_000_000 // (3 * 4 * TENSORS * 1024))
    names = [f"layers.{at}.weight" for at in range(TENSORS)]
    moments = {name: {"exp_avg": torch.randn(rows, 1024), "exp_avg_sq": torch.rand(rows, 1024)} for name in names}
    return {"model": [{name: torch.randn(rows, 1024) for name in names}], "optimizer": [moments]}


def seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def compare(name: str, checkpoints: Any, state: Any, repeats: int) -> bool:
    """Print the stalls of both ways; whether their ratio is good."""
    at_once, beside, busy, free = [], [], [], []
    weight = torch.randn(512, 512)
    for repeat in range(repeats):
        # Both begin with nothing to write, for what an earlier save left to do would count for the later one.
        checkpoints.wait()
        at_once.append(seconds(lambda: checkpoints.save(2 * repeat, state, asynchronous=False)))  # noqa: B023
        free.append(statistics.median(seconds(lambda: weight @ weight) for _ in range(20)))
        beside.append(seconds(lambda: checkpoints.save(2 * repeat + 1, state)))  # noqa: B023
        busy.append(statistics.median(seconds(lambda: weight @ weight) for _ in range(20)))
    checkpoints.wait()
    ratio = statistics.median(fast / slow for fast, slow in zip(beside, at_once, strict=True))
    slower = statistics.median(during / alone for during, alone in zip(busy, free, strict=True))
    print(
        f"{name:12} at once {statistics.median(at_once):.3f} s, beside training {statistics.median(beside):.3f} s, "
        f"ratio {ratio:.2f} (goal {GOAL}); a step meanwhile {slower:.2f} times as long",
        flush=True,
    )
    return ratio <= GOAL


def main(megabytes: int = 500, repeats: int = 7, parent: str | None = None) -> int:
    torch.set_num_threads(1)  # one core trains, another writes
    state = made(megabytes)
    good = True
    for kind in (Checkpoints, ShardedCheckpoints):
        with tempfile.TemporaryDirectory(dir=parent) as folder, kind(Path(folder), keep=1) as checkpoints:
            good &= compare(kind.__name__, checkpoints, state, repeats)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(*(int(each) for each in sys.argv[1:3]), *sys.argv[3:4]))
