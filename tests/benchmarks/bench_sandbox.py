"""What isolation costs a candidate: time to start and end an empty program, plain and at each strength.

Run: python tests/benchmarks/bench_sandbox.py [ROUNDS]
"""

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import aira_lib.sandbox.process as process
from aira_lib.sandbox.strength import ladder, works
from aira_lib.spec import CandidateLimits


def milliseconds(once: Callable[[], object], rounds: int) -> float:
    """Median over rounds."""
    times = []
    for _ in range(rounds):
        started = time.perf_counter()
        once()
        times.append(time.perf_counter() - started)
    return 1e3 * statistics.median(times)


def candidate() -> None:
    with tempfile.TemporaryDirectory() as folder:
        assert process.run_candidate("", Path(folder), CandidateLimits(seconds=60)).status == "ok"


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 30
    plain = milliseconds(lambda: subprocess.run([sys.executable, "-I", "-B", "-c", ""], check=True), rounds)
    print(f"{'plain Python':32} {plain:6.1f} ms")
    for strength in (*ladder(), "none"):
        if strength == "none" or works(strength):
            process.isolation = lambda chosen=strength: chosen
            taken = milliseconds(candidate, rounds)
            print(f"{strength:32} {taken:6.1f} ms, {taken - plain:+6.1f} ms over plain Python")


if __name__ == "__main__":
    main()
