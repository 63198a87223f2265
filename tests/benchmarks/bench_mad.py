"""Speed of the MAD generators against plain ones that build one instance at a time, in one run on one core.

    python tests/benchmarks/bench_mad.py

The plain generators follow the same definitions with Python's `random`; they already avoid listing every permutation
of the vocabulary, which takes mad-lab seconds for a fuzzy instance at vocabulary 128. Both make training examples.
Not covered: the check for repeated rows in `splits`.
"""

import random
import time
from collections.abc import Callable

import numpy as np

from aira_lib.datasets.mad import (
    IGNORE,
    TASKS,
    FuzzyInContextRecall,
    InContextRecall,
    MADTask,
    Memorization,
    NoisyInContextRecall,
    SelectiveCopying,
    generate,
)

Instance = tuple[list[int], list[int]]
SECONDS = 0.5
ROWS = 10_000


def plain_recall(task: InContextRecall, rng: random.Random) -> Instance:
    noise = task.noise_vocab_size if isinstance(task, NoisyInContextRecall) else 0
    frac = task.frac_noise if isinstance(task, NoisyInContextRecall) else 0.0
    symbols, value_of, tokens = task.vocab_size - noise, {}, []
    slots = task.seq_len // 2
    clean = rng.randrange(slots - 1)
    for slot in range(slots - 1):
        if slot != clean and rng.random() < frac:
            tokens += [rng.randrange(symbols, task.vocab_size) for _ in range(2)]
            continue
        key = rng.randrange(symbols // 2)
        tokens += [key, value_of.setdefault(key, rng.randrange(symbols // 2, symbols))]
    probe = rng.choice(list(value_of))
    tokens += [probe, value_of[probe]]
    return tokens[:-1], tokens[1:]


def plain_fuzzy(task: FuzzyInContextRecall, rng: random.Random) -> Instance:
    pad, n_keys = task.vocab_size - 1, (task.vocab_size - 1) // 2

    def motif(low: int, high: int, largest: int) -> list[int]:
        return rng.sample(range(low, high), rng.randint(1, largest))

    key, value = motif(0, n_keys, task.k_motif_size), motif(n_keys, pad, task.v_motif_size)
    probe_size = len(key) + len(value)
    body = task.seq_len - probe_size - task.k_motif_size - task.v_motif_size
    offset = rng.randrange(task.seq_len - 2 * probe_size)
    value_of, tokens, shown = {tuple(key): value}, [], False
    while len(tokens) < body:
        if len(tokens) >= offset and not shown:
            tokens += key + value
            shown = True
            continue
        drawn = motif(0, n_keys, task.k_motif_size)
        shown = shown or drawn == key
        tokens += drawn + value_of.setdefault(tuple(drawn), motif(n_keys, pad, task.v_motif_size))
    tokens += key + value
    tokens = [pad] * (task.seq_len + 1 - len(tokens)) + tokens
    return tokens[:-1], tokens[1:]


def plain_copying(task: SelectiveCopying, rng: random.Random) -> Instance:
    content = [rng.randrange(task.blank) for _ in range(task.n_tokens_to_copy)]
    blanks = [0] * len(content)
    for _ in range(task.seq_len - 2 * len(content) - 1):
        blanks[rng.randrange(len(content))] += 1
    tokens = [t for n, token in zip(blanks, content, strict=True) for t in (*[task.blank] * n, token)]
    ignored = [IGNORE] * (task.seq_len - len(content))
    return [*tokens, task.copy, *[task.blank] * len(content)], ignored + content


def plain_compression(task: MADTask, rng: random.Random) -> Instance:
    tokens = [rng.randrange(task.vocab_size - 1) for _ in range(task.seq_len - 1)]
    return [*tokens, task.vocab_size - 1], [*tokens, task.vocab_size - 1]


def plain_memorization(task: Memorization, rng: random.Random) -> Instance:
    value_of, inputs, targets = task.values().tolist(), [], []
    for _ in range(task.seq_len // 2):
        key = rng.randrange(len(value_of))
        inputs += [key, task.vocab_size - 1]
        targets += [IGNORE, value_of[key]]
    return inputs, targets


PLAIN: dict[str, Callable[..., Instance]] = {
    "in-context-recall": plain_recall,
    "noisy-in-context-recall": plain_recall,
    "fuzzy-in-context-recall": plain_fuzzy,
    "selective-copying": plain_copying,
    "compression": plain_compression,
    "memorization": plain_memorization,
}


def rate(make: Callable[[], int]) -> float:
    """Instances a second; `make` makes some and says how many."""
    make()
    begin, made = time.perf_counter(), 0
    while time.perf_counter() - begin < SECONDS:
        made += make()
    return made / (time.perf_counter() - begin)


def compare(task: MADTask) -> None:
    """Print one line for a task."""
    rng, plain_rng = np.random.default_rng(0), random.Random(0)

    def plainly() -> int:
        made = [PLAIN[task.name](task, plain_rng) for _ in range(50)]
        return len(np.array(made))

    fast, slow = rate(lambda: len(generate(task, ROWS, rng, "train"))), rate(plainly)
    print(f"{task.name:24} vocab {task.vocab_size:4} {fast:12,.0f}/s   plain {slow:8,.0f}/s   x{fast / slow:.0f}")


if __name__ == "__main__":
    for kind in TASKS.values():
        compare(kind())
    compare(FuzzyInContextRecall(vocab_size=128))
