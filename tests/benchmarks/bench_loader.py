"""Tokens a second of the loader on one core, paired with plain indexing of one array at the same places.

Bound: 50 MB of tokens a second. Eight shards in files that are mapped, permuted as a whole; rows of a step are copied
out and widened to int64, as a trainer reads them. Files are in the page cache: a disk is not measured. Beside it, what
a permuted order costs: the same loader with documents kept apart, and its order alone.

    python -m tests.benchmarks.bench_loader [MB]        size of all shards, default 512
"""

import hashlib
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aira_lib.datasets.batches import Batches
from aira_lib.datasets.shards.manifest import Shard, ShardManifest, SplitEntry, TokenizerEntry
from aira_lib.datasets.shards.megatron import Index, dtype_of, token_type, write_index
from aira_lib.datasets.shards.source import ShardSource
from aira_lib.datasets.shards.stored import StoredShards

BOUND_MB = 50.0
SHARDS, DOCUMENT, TOKENS_PER_STEP, STEPS, REPEATS = 8, 1000, 524_288, 8, 5


def made(folder: Path, vocab_size: int, megabytes: int) -> StoredShards:
    """Shards of random tokens."""
    kind, random = token_type(vocab_size), np.random.default_rng(0)
    each = megabytes * 1_000_000 // SHARDS // dtype_of(kind).itemsize // DOCUMENT * DOCUMENT
    shards = []
    for number in range(SHARDS):
        tokens = random.integers(1, vocab_size, each).astype(dtype_of(kind))
        tokens[DOCUMENT - 1 :: DOCUMENT] = 0
        path = folder / f"train-{number:05d}"
        path.with_suffix(".bin").write_bytes(tokens.tobytes())
        write_index(path.with_suffix(".idx"), Index(kind, np.full(each // DOCUMENT, DOCUMENT)))
        digests = (hashlib.sha256(path.with_suffix(end).read_bytes()).hexdigest() for end in (".bin", ".idx"))
        shards.append(
            Shard(name=path.name, tokens=each, documents=each // DOCUMENT, sha256=next(digests),
                  index_sha256=next(digests))
        )  # fmt: skip
    entry = TokenizerEntry(name="random", digest="", vocab_size=vocab_size, end=0)
    split = SplitEntry(shards=tuple(shards), text_bytes=4 * each * SHARDS)
    manifest = ShardManifest(type=kind, tokenizer=entry, splits={"train": split}, source={})
    (folder / "manifest.json").write_text(manifest.json_line())
    return StoredShards(str(folder))


def plain(tokens: NDArray[Any], places: NDArray[np.int64], seq_len: int) -> tuple[NDArray[np.int64], ...]:
    """The rows at some places, an index a token."""
    rows = tokens[places[:, None] + np.arange(seq_len + 1)].astype(np.int64)
    return rows[:, :-1].copy(), rows[:, 1:].copy()


def seconds(read: Callable[[int], Any], first: int) -> float:
    """Process time of `STEPS` steps from `first` on."""
    began = time.process_time()
    for step in range(first, first + STEPS):
        read(step)
    return time.process_time() - began


def measure(vocab_size: int, seq_len: int, megabytes: int) -> bool:
    """Print a line; whether the bound holds."""
    with tempfile.TemporaryDirectory() as folder:
        stored = made(Path(folder), vocab_size, megabytes)
        source = ShardSource(stored, "train")
        source.fetch(lambda *_: None)
        whole = source.windows(np.array([0]), source.n_tokens)[0]
        rows = TOKENS_PER_STEP // seq_len
        across, masked = (Batches(source, seq_len, rows, 0, packing) for packing in ("across", "masked"))

        def places(step: int) -> NDArray[np.int64]:
            return across.order.places(np.arange(step * rows, (step + 1) * rows))

        ways: dict[str, Callable[[int], Any]] = {
            "plain": lambda step: plain(whole, places(step), seq_len),
            "loader": across.rows, "masked": masked.rows, "order": places,
        }  # fmt: skip
        took: dict[str, list[float]] = {name: [] for name in ways}
        for repeat in range(REPEATS):  # in turns, so that what else the machine does meets all alike
            for name, read in ways.items():
                took[name].append(seconds(read, repeat * STEPS))
    best = {name: min(each) for name, each in took.items()}
    ratio = statistics.median(p / n for p, n in zip(took["plain"], took["loader"], strict=True))
    rate = TOKENS_PER_STEP * STEPS * dtype_of(stored.manifest.type).itemsize / 1e6 / best["loader"]
    print(
        f"{stored.manifest.type:>6}, windows of {seq_len:>5}: {rate:6.0f} MB/s, {ratio:.1f} x plain indexing; "
        f"masked {best['masked'] / best['loader']:.1f} x its time, the order {best['order'] / best['loader']:.0%} of it"
    )
    return rate >= BOUND_MB


def main(megabytes: int) -> int:
    """Measure both types at both lengths; 1 where one is slower than the bound."""
    held = [measure(size, length, megabytes) for size in (256, 128_256) for length in (128, 8192)]
    print(f"bound {BOUND_MB:.0f} MB/s: {'held' if all(held) else 'BROKEN'}")
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 512))
