"""Held-out windows: no token twice, as many documents as there are; and the error that documents make."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from aira_lib.datasets.batches import ArraySource
from aira_lib.errors import UserError
from aira_lib.evaluate.windows import documents_of_targets, held_out_starts
from aira_lib.records import document_error


def text_of(sizes: list[int]) -> np.ndarray:
    """Documents of so many bytes each, their separator not counted, every byte the number of its document from 1."""
    return np.concatenate(
        [np.append(np.full(size, at % 255 + 1, np.uint8), np.uint8(0)) for at, size in enumerate(sizes)]
    )


def windows_of(data: np.ndarray, seq_len: int, samples: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Inputs, targets and the documents of targets, [windows, seq_len] each."""
    text = ArraySource(data, 256, 0)
    starts = held_out_starts(text, seq_len, samples)
    windows = text.windows(starts, seq_len + 1)
    return windows[:, :-1], windows[:, 1:], documents_of_targets(text, starts, seq_len)


@given(st.integers(2, 400), st.integers(1, 50), st.integers(1, 60))
def test_no_token_is_scored_twice(tokens: int, seq_len: int, samples: int) -> None:
    data = np.arange(tokens, dtype=np.uint16)
    if tokens <= seq_len:
        with pytest.raises(UserError, match="too few"):
            windows_of(data, seq_len, samples)
        return
    inputs, targets, _ = windows_of(data, seq_len, samples)
    assert inputs.shape == (min(samples, (tokens - 1) // seq_len), seq_len)
    assert np.array_equal(targets, inputs + 1)
    assert np.array_equal(inputs, np.sort(inputs.ravel()).reshape(inputs.shape))
    assert len(np.unique(targets)) == targets.size


@given(st.lists(st.integers(1, 90), min_size=1, max_size=30), st.integers(1, 9), st.integers(1, 60))
def test_targets_know_their_documents(sizes: list[int], seq_len: int, samples: int) -> None:
    data = text_of(sizes)
    if len(data) <= seq_len:
        return
    _, targets, owners = windows_of(data, seq_len, samples)
    assert owners.shape == targets.shape
    assert np.array_equal(targets[targets > 0], owners[targets > 0] % 255 + 1)


def test_a_document_has_a_second_window_when_all_have_a_first() -> None:
    data = text_of([400, 31, 79, 2000])  # with separators 401, 32, 80, 2001
    for samples, expected in ((4, [1, 1, 1, 1]), (7, [2, 2, 2, 1]), (300, [50, 4, 10, 236])):
        owners = windows_of(data, 8, samples)[2][:, 0]
        assert np.bincount(owners).tolist() == expected


def test_windows_longer_than_documents_spread_over_the_text() -> None:
    owners = windows_of(text_of([9] * 1000), 50, 20)[2][:, 0]
    assert len(owners) == 20
    assert np.diff(owners).min() >= 45
    assert np.diff(owners).max() <= 55


def test_the_error_of_equal_documents_is_that_of_their_means() -> None:
    means = np.random.default_rng(0).normal(size=12)
    expected = means.std(ddof=1) / math.sqrt(12)
    assert document_error((means * 30).tolist(), [30] * 12) == pytest.approx(expected)
    assert document_error([1.0], [3]) is None
    assert document_error([], []) is None


def test_intervals_by_document_cover_and_those_by_window_do_not() -> None:
    """Documents differ by 0.3 nats, windows within one by 0.1; unequal documents, 400 corpora of 40."""
    random = np.random.default_rng(1)
    covered = {"documents": 0, "windows": 0}
    for _ in range(400):
        windows = random.integers(1, 16, size=40)
        losses = [random.normal(0, 0.3) + random.normal(0, 0.1, size=n) for n in windows]
        mean = np.concatenate(losses).mean()
        by_document = document_error([float(each.sum()) for each in losses], windows.tolist())
        by_window = np.concatenate(losses).std(ddof=1) / math.sqrt(windows.sum())
        assert by_document is not None
        covered["documents"] += abs(mean) < stats.t.ppf(0.975, 39) * by_document
        covered["windows"] += abs(mean) < 1.96 * by_window
    assert 0.92 < covered["documents"] / 400 < 0.98
    assert covered["windows"] / 400 < 0.6
