import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aira_lib.datasets.text import batches
from aira_lib.errors import UserError

COUNT = np.arange(1000, dtype=np.uint16)


@given(st.integers(0, 2**40), st.integers(0, 2**40), st.integers(1, 64), st.integers(1, 16))
def test_a_batch_is_a_function_of_its_step_and_seed(step, seed, seq_len, batch):
    inputs, targets = batches(COUNT, seq_len, batch, step, seed)
    again = batches(COUNT, seq_len, batch, step, seed)
    assert inputs.shape == targets.shape == (batch, seq_len)
    assert inputs.dtype == targets.dtype == np.int64
    assert np.array_equal(inputs, again[0])
    assert np.array_equal(targets, inputs + 1)
    assert np.array_equal(inputs, inputs[:, :1] + np.arange(seq_len))


def test_steps_and_seeds_differ_and_do_not_swap():
    seen = {batches(COUNT, 8, 16, step, seed)[0].tobytes() for step in range(20) for seed in range(20)}
    assert len(seen) == 400


def test_every_place_is_reached_alike():
    starts = np.concatenate([batches(COUNT[:14], 4, 100, step, 0)[0][:, 0] for step in range(100)])
    counts = np.bincount(starts, minlength=10)
    assert len(counts) == 10
    assert counts.min() > 880
    inputs, targets = batches(COUNT[:5], 4, 3, 0, 0)
    assert inputs.tolist() == [[0, 1, 2, 3]] * 3
    assert targets.tolist() == [[1, 2, 3, 4]] * 3


def test_memory_maps_are_read(tmp_path):
    np.save(tmp_path / "tokens.npy", COUNT)
    mapped = np.load(tmp_path / "tokens.npy", mmap_mode="r")
    assert np.array_equal(batches(mapped, 8, 4, 1, 2)[0], batches(COUNT, 8, 4, 1, 2)[0])


def test_short_text_is_one_line():
    with pytest.raises(UserError, match="the text has 4 tokens") as error:
        batches(COUNT[:4], 4, 1, 0, 0)
    assert "\n" not in str(error.value)
