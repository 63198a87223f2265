"""What the scoring of a training script costs beside its budget, and what of it are bits per byte.

    python -m tests.benchmarks.bench_bpb [BUDGET]

The baseline of Autoresearch is trained for BUDGET (60) CPU seconds on the profile `cpu`, and scored as in a search: two
processes that answer, probes, bits per byte. Goal: scoring takes at most 5 % of the budget. Beside it stand what an
empty process with PyTorch takes, of which two are the least, and the bits per byte of as many logits in this process
against PyTorch's log_softmax in fp64 with a thread.
"""

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from aira_lib.autoresearch.bpb import nats_of
from aira_lib.sandbox import run_candidate
from aira_lib.study import CandidateLimits
from aira_lib.tasks.airs.folder import built_in_programs
from aira_lib.tasks.programs.folder import load_program_folder
from aira_lib.tasks.programs.opening import open_programs

FOLDER = load_program_folder(built_in_programs()["AutoregressiveLanguageModellingAutoresearchBPB"])
GOAL, ROWS, REPEATS = 0.05, 227, 3


def seconds_of(call: Callable[[], object]) -> float:
    """The least wall time of some calls."""
    found = []
    for _ in range(REPEATS):
        begun = time.perf_counter()
        call()
        found.append(time.perf_counter() - begun)
    return min(found)


def scoring(budget: float, place: Path) -> tuple[float, float]:
    """Wall seconds of a training and of its scoring."""
    measure = open_programs(FOLDER, 0.2, place / "task", None, chosen={"budget_seconds": budget})
    assert FOLDER.baseline is not None
    marks: list[float] = []
    measure.validation(
        {"train.py": FOLDER.baseline.encode()}, lambda: 3_600.0, lambda _: marks.append(time.perf_counter())
    )
    return marks[1] - marks[0], time.perf_counter() - marks[1]


def by_torch(logits: np.ndarray, tokens: np.ndarray) -> np.ndarray:
    """The same nats, plainly."""
    said = torch.from_numpy(logits).double().log_softmax(-1)
    return -said.gather(-1, torch.from_numpy(tokens)[..., None])[..., 0].numpy()


def main() -> None:
    """Print the costs."""
    budget = float(sys.argv[1]) if len(sys.argv) > 1 else 60.0
    length, vocabulary = FOLDER.program.predictions.shape
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 4, (ROWS, length, vocabulary)).astype(np.float32)
    tokens = rng.integers(0, vocabulary, (ROWS, length))
    torch.set_num_threads(1)
    ours, plain = seconds_of(lambda: nats_of(logits, tokens)), seconds_of(lambda: by_torch(logits, tokens))
    assert np.allclose(nats_of(logits, tokens), by_torch(logits, tokens), rtol=1e-12)
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        (place / "empty").mkdir()
        limits = CandidateLimits(seconds=60, memory_mb=4_096)
        empty = seconds_of(lambda: run_candidate("import torch", place / "empty", limits))
        trained, scored = scoring(budget, place)
    print(f"training {trained:.1f} s, scoring {scored:.1f} s: {scored / budget:.1%} of the budget (goal {GOAL:.0%})")
    print(f"two processes that import PyTorch and do nothing: {2 * empty:.1f} s")
    print(f"bits per byte of {ROWS} rows: {ours:.2f} s; PyTorch's log_softmax in fp64 {plain:.2f} s")


if __name__ == "__main__":
    main()
