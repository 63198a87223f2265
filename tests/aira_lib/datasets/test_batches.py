"""Batches: each window once an epoch, the same rows for any number of ranks, nothing but seed and step to know."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aira_lib.datasets.batches import ArraySource, Batches
from aira_lib.errors import UserError


def counted(n):
    """A corpus whose tokens are their own places."""
    return ArraySource(np.arange(n, dtype=np.int32), n, -1)


@given(st.integers(1, 12), st.integers(1, 9), st.integers(2, 300), st.integers(0, 2**40), st.data())
def test_an_epoch_has_each_window_once(seq_len, rows, extra, seed, data):
    batches = Batches(counted(seq_len + extra), seq_len, rows, seed)
    epoch = data.draw(st.integers(0, 3))
    first, last = epoch * batches.order.windows, (epoch + 1) * batches.order.windows
    starts = np.concatenate([batches.rows(step).inputs[:, 0] for step in range(first // rows, -(-last // rows))])
    starts = np.sort(starts[first % rows :][: batches.order.windows])
    assert np.array_equal(np.diff(starts), np.full(batches.order.windows - 1, seq_len))
    assert starts[0] < seq_len
    unread = batches.source.n_tokens - 1 - batches.order.windows * seq_len
    assert 0 <= unread < 2 * seq_len


@given(st.integers(1, 60), st.integers(0, 9), st.lists(st.integers(0, 60), max_size=3), st.sampled_from((1, 2, 3)))
def test_rows_are_those_of_the_whole_batch_however_they_are_sliced(rows, step, cuts, ranks):
    batches = Batches(counted(500), 8, rows, 3)
    whole = batches.rows(step)
    bounds = sorted({0, rows, *(cut for cut in cuts if cut <= rows), *(rows * rank // ranks for rank in range(ranks))})
    parts = [Batches(counted(500), 8, rows, 3).rows(step, *pair) for pair in pairwise(bounds)]
    assert np.array_equal(np.concatenate([part.inputs for part in parts]), whole.inputs)
    assert np.array_equal(np.concatenate([part.targets for part in parts]), whole.targets)


def test_targets_follow_their_inputs_and_types_are_as_promised():
    batch = Batches(counted(1000), 16, 5, 0).rows(3)
    assert batch.inputs.dtype == batch.targets.dtype == np.int64
    assert batch.inputs.shape == (5, 16)
    assert batch.inputs.flags.c_contiguous
    assert batch.targets.flags.c_contiguous
    assert np.array_equal(batch.targets, batch.inputs + 1)
    assert np.array_equal(batch.inputs, batch.inputs[:, :1] + np.arange(16))
    assert batch.documents is None


def test_seeds_and_epochs_have_orders_and_cuts_of_their_own():
    one, other = (Batches(counted(20_000), 64, 300, seed) for seed in (0, 1))
    epochs = [one.rows(step).inputs[:, 0] for step in range(6)] + [other.rows(0).inputs[:, 0]]
    assert len({tuple(starts) for starts in epochs}) == len(epochs)
    assert len({int(starts[0]) % 64 for starts in epochs}) > 3  # where windows are cut


def test_a_window_is_seen_again_only_when_all_were_seen():
    """Where windows are drawn with replacement, a third of the corpus is not seen after an epoch."""
    batches = Batches(counted(10_001), 10, 37, 8)
    read = np.concatenate([batches.rows(step).inputs.ravel() for step in range(batches.order.windows // 37)])
    assert len(np.unique(read)) == len(read)
    assert batches.epochs(batches.order.windows) == pytest.approx(37)


def test_a_corpus_of_one_window_is_read_again_and_again():
    batches = Batches(counted(5), 4, 3, 0)
    assert batches.rows(7).inputs.tolist() == [[0, 1, 2, 3]] * 3


def test_documents_are_counted_within_each_row():
    tokens = np.array([5, 6, 0, 7, 0, 0, 8, 9, 9, 0] * 20, dtype=np.uint8)
    batches = Batches(ArraySource(tokens, 256, 0), 7, 4, 1, "masked")
    for step in range(10):
        batch = batches.rows(step)
        assert batch.documents is not None
        assert batch.documents.dtype == np.int32
        for row, documents in zip(batch.inputs.tolist(), batch.documents.tolist(), strict=True):
            assert documents == [row[:place].count(0) for place in range(7)]


def test_memory_maps_are_read(tmp_path):
    tokens = np.arange(1000, dtype=np.uint16)
    np.save(tmp_path / "tokens.npy", tokens)
    mapped = np.load(tmp_path / "tokens.npy", mmap_mode="r")
    one, other = (Batches(ArraySource(array, 1000, 0), 8, 4, 2).rows(1).inputs for array in (mapped, tokens))
    assert np.array_equal(one, other)


def test_short_text_is_one_line():
    with pytest.raises(UserError, match="the text has 4 tokens") as error:
        Batches(counted(4), 4, 1, 0)
    assert "\n" not in str(error.value)
