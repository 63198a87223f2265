"""What isolation costs a candidate: time to start and end an empty program, plain and at each strength.

Rounds of all strengths alternate, so that a busy moment of the machine meets each of them.

Run: python -m tests.benchmarks.bench_sandbox [ROUNDS]
"""

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import aira_lib.sandbox.process as process
from aira_lib.sandbox.launch import Isolation
from aira_lib.sandbox.strength import ladder, works
from aira_lib.study import CandidateLimits


def plain() -> None:
    subprocess.run([sys.executable, "-s", "-P", "-B", "-c", ""], check=True)


def candidate(strength: Isolation) -> None:
    process.isolation = lambda: strength
    with tempfile.TemporaryDirectory() as folder:
        assert process.run_here("", Path(folder), CandidateLimits(seconds=60)).status == "ok"


def milliseconds(once: Callable[[], None]) -> float:
    started = time.perf_counter()
    once()
    return 1e3 * (time.perf_counter() - started)


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 30
    strengths: list[Isolation] = [*(each for each in ladder() if works(each)), "none"]
    ways: dict[str, Callable[[], None]] = {"plain Python": plain}
    ways |= {strength: (lambda chosen=strength: candidate(chosen)) for strength in strengths}
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, once in ways.items():
            taken[name].append(milliseconds(once))
    base = taken["plain Python"]
    print(f"{'':32} {'min':>7} {'quartiles':>22}   over plain Python: min, median; {rounds} rounds, ms")
    for name, times in taken.items():
        low, middle, high = statistics.quantiles(times, n=4)
        over = f"{min(times) - min(base):+6.1f} {middle - statistics.median(base):+6.1f}"
        print(f"{name:32} {min(times):7.1f} {low:7.1f}{middle:7.1f}{high:8.1f}   {over}")


if __name__ == "__main__":
    main()
