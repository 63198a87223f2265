import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from aira_lib.datasets.mad import (
    IGNORE,
    Compression,
    InContextRecall,
    Memorization,
    SelectiveCopying,
    settings_for,
    splits,
)
from aira_lib.errors import UserError
from aira_lib.study import MAD_TASKS


def rows(examples):
    return [tuple(row) for row in examples.inputs.tolist()]


@pytest.mark.parametrize("name", MAD_TASKS)
def test_sizes_and_agreement_of_the_splits(name):
    made = splits(settings_for(name), 100, 40, 0.3, seed=3)
    assert [len(part) for part in (made.train, made.validation, made.test, made.pool)] == [70, 30, 40, 100]
    assert rows(made.train) + rows(made.validation) == rows(made.pool)
    assert np.array_equal(made.train.targets, made.pool.targets[:70])
    scored = made.validation.targets != IGNORE
    assert np.array_equal(made.validation.targets[scored], made.pool.targets[70:][scored])


@pytest.mark.parametrize("name", MAD_TASKS)
def test_seed_fixes_the_splits(name):
    one, same, other = (splits(settings_for(name), 40, 20, 0.3, seed) for seed in (5, 5, 6))
    for part in ("train", "validation", "test"):
        assert np.array_equal(getattr(one, part).inputs, getattr(same, part).inputs)
        assert np.array_equal(getattr(one, part).targets, getattr(same, part).targets)
        assert not np.array_equal(getattr(one, part).inputs, getattr(other, part).inputs)


def test_validation_is_scored_like_the_test():
    made = splits(InContextRecall(), 200, 200, 0.3, seed=0)
    share = {part: (getattr(made, part).targets != IGNORE).mean() for part in ("train", "validation", "test")}
    assert share["train"] == 1
    assert share["validation"] == pytest.approx(share["test"], abs=0.01)


@hypothesis_settings(deadline=None, max_examples=40)
@given(
    st.sampled_from(
        [
            InContextRecall(vocab_size=6, seq_len=8),  # about 3,000 sequences, so draws collide
            Compression(vocab_size=4, seq_len=7),  # 729
            SelectiveCopying(vocab_size=4, seq_len=16, n_tokens_to_copy=4),
        ]
    ),
    st.integers(0, 10_000),
)
def test_no_row_occurs_twice(task, seed):
    made = splits(task, 150, 100, 0.3, seed)
    everything = rows(made.train) + rows(made.validation) + rows(made.test)
    assert len(set(everything)) == len(everything) == 250


def test_collisions_do_occur_without_the_check():
    # Guards the test above: the same number of plain draws does repeat rows.
    drawn = np.random.default_rng(0).integers(3, size=(250, 6))
    assert len(np.unique(drawn, axis=0)) < 250


def test_memorization_shares_its_map_and_may_repeat_rows():
    made = splits(Memorization(vocab_size=6, seq_len=4), 60, 40, 0.3, seed=0)
    maps = [
        dict(zip(part.inputs[:, 0::2].flat, part.targets[:, 1::2].flat, strict=True))
        for part in (made.train, made.validation, made.test)
    ]
    assert maps[0] == maps[1] == maps[2]
    assert len(maps[0]) == 2


def test_too_few_distinct_instances_is_one_line():
    with pytest.raises(UserError, match="too few distinct sequences for 300 train examples") as error:
        splits(Compression(vocab_size=3, seq_len=8), 300, 10, 0.3, seed=0)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("n_train", "n_test", "fraction"), [(4, 4, 0.01), (4, 4, 0.99), (4, 0, 0.3)])
def test_an_empty_split_is_one_line(n_train, n_test, fraction):
    with pytest.raises(UserError, match="leave a split empty"):
        splits(InContextRecall(), n_train, n_test, fraction, seed=0)
