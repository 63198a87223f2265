"""Every instance is solved again from its task's definition, in plain loops that share nothing with the generators."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aira_lib.datasets.mad import (
    IGNORE,
    Compression,
    FuzzyInContextRecall,
    InContextRecall,
    MADTask,
    Memorization,
    NoisyInContextRecall,
    SelectiveCopying,
    benchmark_settings,
    generate,
    settings_for,
)
from aira_lib.study import MAD_TASKS

Row = list[int]


def read_recall(task: InContextRecall, inputs: Row, targets: Row) -> None:
    noise = task.noise_vocab_size if isinstance(task, NoisyInContextRecall) else 0
    symbols = task.vocab_size - noise
    assert targets[-1] != IGNORE, "the last key is always asked for"
    tokens, scores = [*inputs, targets[-1]], [IGNORE, *targets]
    assert len(tokens) == task.seq_len
    known: dict[int, int] = {}
    for i in range(0, len(tokens), 2):
        key, value = tokens[i], tokens[i + 1]
        assert scores[i] == IGNORE, "a key is never an answer"
        if key >= symbols:
            assert symbols <= value < task.vocab_size
            assert scores[i + 1] == IGNORE
            assert i + 2 < len(tokens), "the probe is not noise"
            continue
        assert 0 <= key < symbols // 2 <= value < symbols
        if key in known:
            assert scores[i + 1] == known[key] == value
        else:
            assert scores[i + 1] == IGNORE
            known[key] = value


def read_fuzzy(task: FuzzyInContextRecall, inputs: Row, targets: Row, keys_are_largest: bool = False) -> None:
    assert targets[-1] != IGNORE
    tokens, scores = [*inputs, targets[-1]], [IGNORE, *targets]
    place = 0
    while tokens[place] == task.vocab_size - 1:
        assert scores[place] == IGNORE
        place += 1
    known: dict[tuple[int, ...], tuple[int, ...]] = {}
    asked = False
    while place < len(tokens):
        key, place = read_motif(tokens, place, 0, (task.vocab_size - 1) // 2)
        value, end = read_motif(tokens, place, (task.vocab_size - 1) // 2, task.vocab_size - 1)
        assert 1 <= len(key) <= task.k_motif_size
        assert 1 <= len(value) <= task.v_motif_size
        assert len(set(key)) == len(key) and len(set(value)) == len(value)  # noqa: PT018
        assert not keys_are_largest or len(key) == task.k_motif_size
        assert set(scores[place - len(key) : place]) == {IGNORE}
        asked = key in known
        if asked:
            assert known[key] == value
            assert tuple(scores[place:end]) == value
        else:
            known[key] = value
            assert set(scores[place:end]) == {IGNORE}
        place = end
    assert asked, "the last key was shown before"


def read_motif(tokens: Row, place: int, low: int, high: int) -> tuple[tuple[int, ...], int]:
    start = place
    while place < len(tokens) and low <= tokens[place] < high:
        place += 1
    return tuple(tokens[start:place]), place


def read_copying(task: SelectiveCopying, inputs: Row, targets: Row) -> None:
    copy_token, blank = task.vocab_size - 1, task.vocab_size - 2
    asked_at = inputs.index(copy_token)
    content = [token for token in inputs[:asked_at] if token != blank]
    assert all(0 <= token < blank for token in content)
    assert len(content) == task.n_tokens_to_copy
    assert inputs[asked_at - 1] != blank, "blanks come before content"
    assert inputs[asked_at + 1 :] == [blank] * task.n_tokens_to_copy
    assert targets == [IGNORE] * (asked_at + 1) + content


def read_compression(task: Compression, inputs: Row, targets: Row) -> None:
    assert inputs == targets
    assert inputs[-1] == task.vocab_size - 1
    assert all(0 <= token < task.vocab_size - 1 for token in inputs[:-1])


def read_memorization(task: Memorization, inputs: Row, targets: Row) -> None:
    rng = np.random.default_rng(task.map_seed)
    n_keys = (task.vocab_size - 1) // 2
    keys, values = list(range(n_keys)), list(range(n_keys, task.vocab_size - 1))
    rng.shuffle(keys)
    rng.shuffle(values)
    known = dict(zip(keys, values, strict=False))
    for i in range(0, len(inputs), 2):
        assert inputs[i + 1] == task.vocab_size - 1
        assert targets[i : i + 2] == [IGNORE, known[inputs[i]]]


READERS: dict[str, Callable[..., None]] = {
    "in-context-recall": read_recall,
    "noisy-in-context-recall": read_recall,
    "fuzzy-in-context-recall": read_fuzzy,
    "selective-copying": read_copying,
    "compression": read_compression,
    "memorization": read_memorization,
}


def read_all(task: MADTask, n: int, seed: int) -> None:
    for split in ("validation", "test"):
        examples = generate(task, n, np.random.default_rng(seed), split)
        assert examples.inputs.shape == examples.targets.shape == (n, task.length)
        for inputs, targets in zip(examples.inputs.tolist(), examples.targets.tolist(), strict=True):
            READERS[task.name](task, inputs, targets)
            if split == "test" and isinstance(task, FuzzyInContextRecall):
                read_fuzzy(task, inputs, targets, keys_are_largest=True)


@pytest.mark.parametrize("name", MAD_TASKS)
def test_baseline_instances_read_back(name: str) -> None:
    read_all(settings_for(name), 300, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("name", MAD_TASKS)
def test_many_instances_read_back(name: str) -> None:
    read_all(settings_for(name), 10_000, seed=2)


@pytest.mark.parametrize("name", MAD_TASKS)
def test_every_benchmark_difficulty_reads_back(name: str) -> None:
    for task, _ in benchmark_settings(name):
        read_all(task, 3, seed=3)


def small_tasks() -> st.SearchStrategy[MADTask]:
    odd_or_even, pairs = st.integers(8, 40), st.integers(4, 20).map(lambda n: 2 * n)
    fuzzy = st.tuples(st.integers(1, 4), st.integers(1, 4)).flatmap(
        lambda sizes: st.builds(
            FuzzyInContextRecall,
            vocab_size=st.integers(1 + max(2 * sizes[0], 2 * sizes[1] - 1), 24),
            seq_len=st.integers(2 * sum(sizes) + 1, 48),
            k_motif_size=st.just(sizes[0]),
            v_motif_size=st.just(sizes[1]),
        )
    )
    copying = st.integers(1, 12).flatmap(
        lambda n: st.builds(
            SelectiveCopying,
            vocab_size=st.integers(3, 24),
            seq_len=st.integers(2 * n + 2, 48),
            n_tokens_to_copy=st.just(n),
        )
    )
    return st.one_of(
        st.builds(InContextRecall, vocab_size=st.integers(2, 24), seq_len=pairs),
        st.builds(
            NoisyInContextRecall,
            vocab_size=st.integers(10, 24),
            seq_len=pairs,
            noise_vocab_size=st.integers(1, 8),
            frac_noise=st.sampled_from([0.0, 0.2, 0.9, 0.99]),
        ),
        fuzzy,
        copying,
        st.builds(Compression, vocab_size=st.integers(2, 24), seq_len=odd_or_even),
        st.builds(Memorization, vocab_size=st.integers(3, 24), seq_len=pairs, map_seed=st.integers(0, 5)),
    )


@settings(max_examples=150, deadline=None)
@given(small_tasks(), st.integers(0, 2**32))
def test_any_valid_difficulty_reads_back(task: MADTask, seed: int) -> None:
    read_all(task, 20, seed)


def test_readers_notice_a_wrong_answer() -> None:
    for name in MAD_TASKS:
        task = settings_for(name)
        examples = generate(task, 1, np.random.default_rng(4), "test")
        inputs, targets = examples.inputs[0].tolist(), examples.targets[0].tolist()
        place = next(i for i, target in enumerate(targets) if target != IGNORE)
        for wrong in (IGNORE, (targets[place] + 1) % task.vocab_size):
            with pytest.raises((AssertionError, KeyError)):
                READERS[name](task, inputs, [*targets[:place], wrong, *targets[place + 1 :]])
