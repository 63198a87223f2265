"""Speed and memory of `aira data prepare`: text into shards of bytes, and of a byte-level tokenizer by tiktoken.

Bounds: 50 MB of text a CPU-second for bytes, 4 MB by tiktoken, which is also compared to the package `tokenizers` on
the same documents; and memory that does not grow from 10 to 100 MB of text (to 1 GB with the argument 1000).
Preparations run in processes of their own, so that the peak of each is its own.

python -m tests.benchmarks.bench_data_prepare [MEGABYTES]
"""

import json
import random
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from aira_lib.datasets.shards.plan import Preparation
from aira_lib.datasets.shards.prepare import prepare
from aira_lib.datasets.shards.tokenizer import tokenizer_of
from aira_lib.datasets.text.stdlib import source_files

SMALL = 10
LEAST = {"bytes": 50.0, "tiktoken": 4.0}
MOST_GROWTH = 1.25
DOCUMENT = 3_000
VOCABULARY = 8_000


def passages(megabytes: float, seed: int = 0) -> list[str]:
    """Pieces of the standard library's source, no two alike."""
    rng = random.Random(seed)
    folder = Path(sysconfig.get_path("stdlib"))
    texts = [path.read_text(errors="ignore") for path in sorted(source_files(folder))]
    found, size = [], 0
    while size < megabytes * 1e6:
        text = rng.choice(texts)
        start = rng.randrange(max(1, len(text) - DOCUMENT))
        found.append(f"{len(found)}: {text[start : start + DOCUMENT]}")
        size += len(found[-1].encode())
    return found


def write_text(folder: Path, megabytes: int) -> Path:
    path = folder / f"{megabytes}.jsonl"
    with path.open("w") as file:
        for part in range(max(1, megabytes // 50)):  # fifty at a time, so that writing needs no memory either
            for text in passages(min(megabytes, 50), part):
                file.write(json.dumps({"text": f"{part} {text}"}) + "\n")
    return path


def write_parquet(path: Path) -> Path:
    """The same documents as one row group of Parquet."""
    texts = [json.loads(line)["text"] for line in path.open()]
    pq.write_table(pa.table({"text": texts}), path.with_suffix(".parquet"), row_group_size=len(texts))
    return path.with_suffix(".parquet")


def write_tokenizer(folder: Path) -> Path:
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    letters = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY, special_tokens=["<|endoftext|>"], initial_alphabet=letters, show_progress=False
    )
    made.train_from_iterator(passages(4, seed=1), trainer)
    made.save(str(folder / "tokenizer.json"))
    return folder / "tokenizer.json"


def measure(text: str, tokenizer: str, output: str) -> None:
    """In a process of its own: prepare, then print CPU-seconds and the peak of memory in megabytes."""
    start = time.process_time()
    prepare(Preparation((text,), tokenizer), output, 1, lambda progress: None)
    seconds = time.process_time() - start
    # Not getrusage, whose maximum begins with that of the process before its program was loaded.
    peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    print(json.dumps([seconds, int(peak.split()[1]) / 1024]))


def measured(text: Path, tokenizer: str, output: Path) -> tuple[float, float]:
    """The better seconds of two runs, for other work on the machine takes caches away; and the higher peak."""
    found = []
    for attempt in range(2):
        command = [str(text), tokenizer, f"{output} {attempt}"]
        said = subprocess.run(
            [sys.executable, "-m", "tests.benchmarks.bench_data_prepare", *command], check=True, capture_output=True,
        ).stdout  # fmt: skip
        found.append(json.loads(said))
    return min(seconds for seconds, _ in found), max(peak for _, peak in found)


def engines_ratio(tokenizer: Path) -> float:
    """How many times as fast tiktoken encodes the same documents, the better of two each, in turn."""
    texts, times = passages(2, seed=2), {"tiktoken": 1e9, "tokenizers": 1e9}
    made = {"tiktoken": tokenizer_of(str(tokenizer), "tiktoken"), "tokenizers": tokenizer_of(str(tokenizer))}
    for _ in range(2):
        for name, each in made.items():
            start = time.process_time()
            each.encode(texts)
            times[name] = min(times[name], time.process_time() - start)
    return times["tokenizers"] / times["tiktoken"]


def main(large: int) -> int:
    good = True
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        texts, tokenizer = [write_text(folder, size) for size in (SMALL, large)], write_tokenizer(folder)
        tables = [write_parquet(text) for text in texts]
        for what, named, files in (
            ("bytes", "bytes", texts),
            ("tiktoken", str(tokenizer), texts),
            ("", "bytes", tables),
        ):
            (_, low), (seconds, high) = (measured(file, named, folder / f"{what} of {file.name}") for file in files)
            speed = texts[1].stat().st_size / 1e6 / seconds
            name = what or "bytes, one row group of Parquet"
            print(f"{name}: {speed:.1f} MB of JSON lines a CPU-second (bound {LEAST.get(what, 0):g})")
            print(f"{name}: peak {low:.0f} MB for {SMALL} MB of text, {high:.0f} MB for {large} MB")
            good &= speed >= LEAST.get(what, 0) and high <= MOST_GROWTH * low
        print(f"tiktoken against tokenizers, the same documents: {engines_ratio(tokenizer):.1f} times as fast")
    return 0 if good else 1


if __name__ == "__main__":
    if len(sys.argv) == 4:
        measure(*sys.argv[1:])
    else:
        sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 100))
