"""The order of windows where a corpus has pieces of which only some are at hand."""

from itertools import chain

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aira_lib.datasets.batches import ArraySource, Batches
from aira_lib.datasets.order import WindowOrder

PIECES = st.lists(st.integers(0, 80), min_size=1, max_size=9)


@given(PIECES, st.integers(1, 12), st.integers(0, 2**33), st.integers(1, 4), st.integers(0, 2))
def test_each_window_of_each_piece_comes_once_an_epoch_group_by_group(pieces, seq_len, seed, at_once, epoch):
    order = WindowOrder(pieces, seq_len, seed, at_once)
    assert (order.windows == 0) == all(piece <= seq_len for piece in pieces)
    if not order.windows:
        return
    turns = np.arange(order.windows) + epoch * order.windows
    places = order.places(turns)
    ends = np.cumsum(pieces)
    which = np.searchsorted(ends, places, side="right")
    assert (places + seq_len < ends[which]).all()  # inside one piece, the last target too
    for piece in range(len(pieces)):
        mine = np.sort(places[which == piece])
        assert (np.diff(mine) == seq_len).all()
        unread = pieces[piece] - 1 - len(mine) * seq_len
        assert unread < 2 * seq_len
    groups = [order.group(int(turn)) for turn in turns]
    assert all(piece in group for piece, group in zip(which.tolist(), groups, strict=True))
    distinct = [group for at, group in enumerate(groups) if at == 0 or group != groups[at - 1]]
    assert sorted(chain.from_iterable(distinct)) == [piece for piece in range(len(pieces)) if pieces[piece] > seq_len]
    assert max(map(len, distinct)) <= at_once
    assert [order.group(int(turns[0]), further) for further in range(len(distinct))] == distinct
    assert order.group(int(turns[0]), len(distinct)) == order.group(int(turns[-1]) + 1)


def test_pieces_are_in_another_order_each_epoch_and_for_each_seed():
    orders = {
        tuple(WindowOrder([100] * 20, 10, seed, 1).group(epoch * 180 + at * 9)[0] for at in range(20))
        for seed in range(3)
        for epoch in range(3)
    }
    assert len(orders) == 9


def test_windows_of_one_group_are_mixed():
    order = WindowOrder([5000] * 4, 10, 3, 2)
    which = order.places(np.arange(order.windows // 2)) // 5000
    changes = int((np.diff(which) != 0).sum())
    assert 0.4 < changes / len(which) < 0.6


class Fetched(ArraySource):
    """Two pieces in one array, which remembers what it was told to fetch."""

    pieces = (100,) * 6

    def ahead(self, pieces):
        asked.append(list(pieces))


asked: list[list[int]] = []


def test_pieces_are_asked_for_a_group_ahead_and_not_where_all_are_here():
    asked.clear()
    source = Fetched(np.arange(600), 600, -1)
    whole = Batches(source, 10, 3, 0)
    whole.rows(0)
    assert asked == []
    parts = Batches(source, 10, 3, 0, at_once=2)
    for step in range(parts.order.windows // 3):
        parts.rows(step, 0, 1)
    groups = [parts.order.group(0, further) for further in range(1, 4)]
    assert asked == groups


@pytest.mark.parametrize("at_once", [None, 3])
def test_a_step_may_end_one_epoch_and_begin_the_next(at_once):
    order = WindowOrder([50, 60, 70], 10, 1, at_once)
    around = np.arange(order.windows - 3, order.windows + 3)
    assert np.array_equal(order.places(around), [order.places(around[at : at + 1])[0] for at in range(6)])
