"""Speed of a store of evaluations with 10,000 entries in a folder: get, query, export; beside a plain file read.

python -m tests.benchmarks.bench_evaluations
"""

import random
import tempfile
import time
from pathlib import Path

from aira_lib.architecture.pattern import render
from aira_lib.evaluations import EvaluationStore, StoredEvaluation
from aira_lib.evaluations.entry import Provenance, encode
from aira_lib.evaluations.key import EvaluationKey, key_of
from aira_lib.evaluations.store import entry_name
from aira_lib.evaluations.table import Choice, read_entries, statistics, write_parquet
from aira_lib.proxy.evaluation import evaluate
from aira_lib.records import Evaluation
from aira_lib.study import ProxySection

ENTRIES = 10_000
GETS = 2_000
SECTION = ProxySection()


def made_up(key: EvaluationKey, rng: random.Random) -> StoredEvaluation:
    """An entry as the paper's profile leaves it."""
    scores = {task: rng.random() for task in SECTION.tasks}
    mean = sum(scores.values()) / len(scores)
    return StoredEvaluation(
        key=key.digest, design=render(key.layers), layers=key.layers, dataset=key.dataset,
        settings=key.settings_digest, seed=key.seed, code=key.code, platform=key.platform,
        evaluation=Evaluation(status="ok", validation=mean, test=mean, validation_by_task=scores, test_by_task=scores,
                              params=10**6, train_steps=10_000, seconds=60.0),
        made=Provenance(asked_by="study/greedy.s0", created="2026-01-01T00:00:00+00:00", machine="0" * 12,
                        device="made up", threads=1),
    )  # fmt: skip


def filled(root: Path) -> list[EvaluationKey]:
    """Write the entries, without waiting for the disk."""
    rng = random.Random(0)
    designs = {tuple(rng.choice(("A", "M", "Mb")) for _ in range(16)) for _ in range(ENTRIES + 100)}
    keys = [key_of(layers, SECTION, SECTION.seed) for layers in sorted(designs)[:ENTRIES]]
    for key in keys:
        path = root / entry_name(key.digest)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode(made_up(key, rng)))
    return keys


def seconds(action: object) -> float:
    """Time of one call."""
    assert callable(action)
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        keys = filled(root)
        chosen = random.Random(1).sample(keys, GETS)
        store = EvaluationStore(str(root), evaluate)
        plain = sorted(seconds(lambda key=key: (root / entry_name(key.digest)).read_bytes()) for key in chosen)
        gets = sorted(
            seconds(lambda key=key: store.find(key_of(key.layers, SECTION, key.seed).digest)) for key in chosen
        )
        asks = sorted(seconds(lambda key=key: store.answer(key.layers, SECTION, seed=key.seed)) for key in chosen[:200])
        assert store.use.trained == 0
        print(f"read a file                {plain[GETS // 2] * 1e3:8.3f} ms")
        print(f"get, key included          {gets[GETS // 2] * 1e3:8.3f} ms   (99 %: {gets[-GETS // 100] * 1e3:.3f})")
        print(f"ask, counting included     {asks[100] * 1e3:8.3f} ms   (the count is synced to the disk)")
        entries = read_entries(store.store, root)
        print(f"read all {ENTRIES:,}           {seconds(lambda: read_entries(store.store, root)):8.2f} s")
        print(f"choose and sort            {seconds(lambda: Choice(design='A-M').of(entries)):8.2f} s")
        print(f"count                      {seconds(lambda: statistics(entries, [])):8.2f} s")
        print(f"export to Parquet          {seconds(lambda: write_parquet(entries, root / 'x.parquet')):8.2f} s")


if __name__ == "__main__":
    main()
