"""What the scoring of a training script costs beside its budget, and what of it are bits per byte.

    python -m tests.benchmarks.bench_bpb [REPEATS]

The baseline of Autoresearch is trained on the profile `cpu`, for a few seconds only, since scoring does not depend on
how long; and it is scored as in a search: two processes that answer, one after the other, probes, bits per byte. Goal:
scoring takes at most 5 % of the profile's budget. The same with nothing imported ahead is measured in turns with it.
Beside it stand what an empty process with PyTorch takes, and the bits per byte of as many logits in this process
against PyTorch's log_softmax in fp64 with a thread. Times are medians, with the least and the most.
"""

import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from aira_lib.autoresearch.bpb import nats_of
from aira_lib.sandbox import run_candidate
from aira_lib.study import CandidateLimits
from aira_lib.tasks.airs.folder import built_in_programs
from aira_lib.tasks.programs.folder import load_program_folder
from aira_lib.tasks.programs.measure import Measure
from aira_lib.tasks.programs.opening import open_programs

FOLDER = load_program_folder(built_in_programs()["AutoregressiveLanguageModellingAutoresearchBPB"])
GOAL, ROWS, TRAINED = 0.05, 227, 8.0


def seconds_of(call: Callable[[], object]) -> float:
    """Wall time of a call."""
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


def scoring(measure: Measure) -> tuple[float, float]:
    """Wall and CPU seconds of a scoring, from the end of its training."""
    assert FOLDER.baseline is not None
    marks: list[tuple[float, float]] = []

    def mark() -> None:
        used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        marks.append((time.perf_counter(), sum(each.ru_utime + each.ru_stime for each in used)))

    measure.validation({"train.py": FOLDER.baseline.encode()}, lambda: 3_600.0, lambda _: mark())
    mark()
    return marks[-1][0] - marks[1][0], marks[-1][1] - marks[1][1]


def told(seconds: Sequence[float]) -> str:
    """A median with its range."""
    return f"{statistics.median(seconds):.2f} s ({min(seconds):.2f} to {max(seconds):.2f})"


def by_torch(logits: np.ndarray, tokens: np.ndarray) -> np.ndarray:
    """The same nats, plainly."""
    said = torch.from_numpy(logits).double().log_softmax(-1)
    return -said.gather(-1, torch.from_numpy(tokens)[..., None])[..., 0].numpy()


def main() -> None:
    """Print the costs."""
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    length, vocabulary = FOLDER.program.predictions.shape
    budget = float(FOLDER.program.settings["budget_seconds"])
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 4, (ROWS, length, vocabulary)).astype(np.float32)
    tokens = rng.integers(0, vocabulary, (ROWS, length))
    torch.set_num_threads(1)
    assert np.allclose(nats_of(logits, tokens), by_torch(logits, tokens), rtol=1e-12)
    ours = [seconds_of(lambda: nats_of(logits, tokens)) for _ in range(repeats)]
    plain = [seconds_of(lambda: by_torch(logits, tokens)) for _ in range(repeats)]
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        (place / "empty").mkdir()
        limits = CandidateLimits(seconds=60, memory_mb=4_096)
        measure = open_programs(FOLDER, 0.2, place / "task", None, chosen={"budget_seconds": TRAINED})
        program = measure.folder.program.model_copy(update={"ahead": ()})
        apart = replace(measure, folder=replace(measure.folder, program=program))
        runs = [
            (
                *scoring(measure),
                *scoring(apart),
                seconds_of(lambda: run_candidate("import torch", place / "empty", limits)),
            )
            for _ in range(repeats)
        ]
    wall, cpu, wall_apart, cpu_apart, empty = zip(*runs, strict=True)
    share = statistics.median(wall) / budget
    print(f"scoring {told(wall)}, CPU {told(cpu)}: {share:.1%} of the budget of {budget:g} s (goal {GOAL:.0%})")
    print(f"with nothing imported ahead {told(wall_apart)}, CPU {told(cpu_apart)}")
    print(f"an empty process that imports PyTorch {told(empty)}")
    print(f"bits per byte of {ROWS} rows {told(ours)}; PyTorch's log_softmax in fp64 {told(plain)}")


if __name__ == "__main__":
    main()
