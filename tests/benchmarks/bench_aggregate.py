"""Time and memory of aggregating one million evaluated 16-layer designs from Parquet, by every method.

Bounds: 5 s and 1 GB resident on two cores, all methods and reading together. Fitness has a million distinct values,
the hardest case of the clustering. The ratio is to the plain form in the tests, on a sample of 20,000 designs with
20 resamples and fitness of three digits (its clustering takes quadratic time).
"""

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from aira_lib.aggregate.stage import aggregate, base_patterns
from aira_lib.aggregate.table import DesignTable
from aira_lib.architecture.primitives import PAPER_PRIMITIVES
from aira_lib.records import ArchiveRow
from aira_lib.study import AggregateSection
from tests.aira_lib.aggregate import plain_aggregate as plain
from tests.builders import work_in

N, LAYERS, SAMPLE = 1_000_000, 16, 20_000
BOUND_SECONDS, BOUND_MB = 5.0, 1000
SECTIONS = [
    AggregateSection(name="N0", context=0),
    AggregateSection(name="N1", context=1),
    AggregateSection(name="Nall", context="all"),
    AggregateSection(name="top-20", method="top-k", top_k=20),
    AggregateSection(name="top-400", method="top-k-uniform", top_k=400),
    AggregateSection(name="bayes", method="bayes"),
]


def made(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Designs whose fitness leans towards an alternating pattern, with noise."""
    random = np.random.default_rng(0)
    codes = random.integers(0, 3, (n, LAYERS), dtype=np.uint8)
    good = (codes == np.arange(LAYERS) % 3).mean(axis=1)
    return codes, 0.5 + 0.3 * good + random.normal(0, 0.03, n)


def write(path: Path, codes: np.ndarray, fitness: np.ndarray) -> None:
    n = len(codes)
    layers = pa.DictionaryArray.from_arrays(pa.array(codes.reshape(-1)), list(PAPER_PRIMITIVES)).cast(pa.string())
    offsets = pa.array(np.arange(0, n * LAYERS + 1, LAYERS, dtype=np.int32))
    units = pa.array([f"greedy.s{i}" for i in range(10)])
    agents = pa.DictionaryArray.from_arrays(pa.array(np.arange(n, dtype=np.int32) % 10), units).cast(pa.string())
    columns = {
        "dataset": pa.array(["mad"] * n),
        "lower_is_better": pa.array(np.zeros(n, dtype=bool)),
        "layers": pa.ListArray.from_arrays(offsets, layers),
        "validation": pa.array(fitness),
        "test": pa.array(fitness - 0.01),
        "agents": pa.ListArray.from_arrays(pa.array(np.arange(n + 1, dtype=np.int32)), agents),
    }
    pq.write_table(pa.table(columns), path)


def measure(path: Path) -> int:
    """Read and aggregate, in a process that has done nothing else."""
    start = time.perf_counter()
    table = DesignTable.from_parquet(path, agents=False)  # as the stage does where no section names agents
    total = time.perf_counter() - start
    print(f"read {len(table):,} designs: {total:.2f} s")
    for section in SECTIONS:
        start = time.perf_counter()
        pattern = base_patterns([section], table)[0]
        print(
            f"{section.name:8} alone {time.perf_counter() - start:.2f} s, {pattern.voters:,} voters: {pattern.pattern}"
        )
    start = time.perf_counter()
    aggregate(SECTIONS, table, work_in(path.parent / "work"))
    total += time.perf_counter() - start
    mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"reading and all {len(SECTIONS)} methods: {total:.2f} s (bound {BOUND_SECONDS}), "
        f"peak {mb:.0f} MB (bound {BOUND_MB})"
    )
    return 0 if total <= BOUND_SECONDS and mb <= BOUND_MB else 1


def compare() -> None:
    codes, fitness = made(SAMPLE)
    rows = [
        ArchiveRow(
            design="", layers=tuple(PAPER_PRIMITIVES[c] for c in code), validation=round(float(f), 3), test=None,
            evaluations=1, agents=(), first_seen="", params=1, seconds=0.0,
        )
        for code, f in zip(codes, fitness, strict=True)
    ]  # fmt: skip
    table = DesignTable.from_rows(rows)
    for section in (s.model_copy(update={"resamples": 20}) for s in SECTIONS if s.method != "bayes"):
        start = time.perf_counter()
        fast = base_patterns([section], table)[0]
        middle = time.perf_counter()
        members = plain.electorate(section, rows)
        layers, _ = plain.vote([r.layers for r, _ in members], [w for _, w in members], section.context)
        plain.representative(section, rows, layers)
        plain.resampled(members, section.context, layers, 20, 0)
        end = time.perf_counter()
        assert layers == fast.layers, section.name
        print(
            f"{section.name:8} plain on {SAMPLE:,}: {end - middle:.2f} s, ratio {(end - middle) / (middle - start):.0f}"
        )


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "archive.parquet"
        codes, fitness = made(N)
        write(path, codes, fitness)
        code = subprocess.run(
            [sys.executable, "-m", "tests.benchmarks.bench_aggregate", str(path)], check=False
        ).returncode
    compare()
    return code


if __name__ == "__main__":
    sys.exit(measure(Path(sys.argv[1])) if len(sys.argv) > 1 else main())
