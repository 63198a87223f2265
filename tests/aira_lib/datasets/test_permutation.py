"""The keyed permutation: a bijection for any size, another one for any other key, the same value by value."""

from math import isqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aira_lib.datasets.permutation import ROUNDS, Permutation

KEYS = st.lists(st.integers(0, 2**40), min_size=1, max_size=3)


@given(st.integers(1, 3000), KEYS)
def test_it_is_a_bijection(n, key):
    assert np.array_equal(np.sort(Permutation(n, *key)(np.arange(n))), np.arange(n))


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 15, 16, 17, 99, 100, 101, 4095, 4096, 4097, 65537])
def test_it_is_a_bijection_around_squares_and_powers(n):
    assert np.array_equal(np.sort(Permutation(n, 7, 0)(np.arange(n))), np.arange(n))


def by_one(n, key, value):
    """The network in integers of Python: pairs (left, right), a half at a time, until the value is below n."""
    keys = np.random.SeedSequence(key).generate_state(ROUNDS, np.uint64).tolist()
    n_left = isqrt(n - 1) + 1
    n_right = (n + n_left - 1) // n_left

    def mixed(x, k):
        x = (x + k) % 2**64
        x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
        x = (x ^ (x >> 27)) * 0x94D049BB133111EB % 2**64
        return (x ^ (x >> 31)) >> 1

    while True:
        left, right = divmod(value, n_right)
        for number, k in enumerate(keys):
            if number % 2:
                right = (right + mixed(left, k)) % n_right
            else:
                left = (left + mixed(right, k)) % n_left
        value = left * n_right + right
        if value < n:
            return value


@given(st.integers(1, 1 << 62), KEYS, st.data())
def test_arrays_are_permuted_as_single_integers_are(n, key, data):
    places = data.draw(st.lists(st.integers(0, n - 1), min_size=1, max_size=5))
    assert Permutation(n, *key)(np.array(places)).tolist() == [by_one(n, key, place) for place in places]


def test_other_keys_give_unrelated_orders():
    n = 10_000
    orders = [Permutation(n, seed, epoch)(np.arange(n)) for seed in range(3) for epoch in range(3)]
    for one in range(len(orders)):
        assert abs(np.corrcoef(orders[one], np.arange(n))[0, 1]) < 0.05
        for other in range(one):
            assert (orders[one] == orders[other]).sum() < 20  # one is expected of random orders
            assert abs(np.corrcoef(orders[one], orders[other])[0, 1]) < 0.05


def test_a_place_goes_anywhere_alike():
    n, keys = 7, 7000
    found = np.array([Permutation(n, key)(np.arange(n)) for key in range(keys)])
    for place in range(n):
        counts = np.bincount(found[:, place], minlength=n)
        assert ((counts - keys / n) ** 2 / (keys / n)).sum() < 30  # chi squared of 6 degrees: 0.004 % lie above


def test_steps_of_neighbours_are_spread():
    n = 1 << 20
    steps = np.diff(Permutation(n, 5, 1)(np.arange(20_000)))
    assert abs(np.corrcoef(steps[:-1], steps[1:])[0, 1] + 0.5) < 0.05  # -1/2 of independent places
    assert (np.abs(steps) == 1).sum() < 5


@pytest.mark.parametrize("n", [0, -3, (1 << 62) + 1])
def test_sizes_out_of_bounds_are_refused(n):
    with pytest.raises(ValueError, match="a permutation of"):
        Permutation(n, 1)
