"""Exact k-means on a line against trying every cut."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aira_lib.aggregate.cluster import cluster_starts, kmeans_1d
from tests.aira_lib.aggregate import plain_aggregate as plain


def _cost(values: np.ndarray, labels: np.ndarray) -> float:
    return float(sum(((v := values[labels == label]) - v.mean()) @ (v - v.mean()) for label in set(labels.tolist())))


def _best_cost(values: np.ndarray, k: int) -> float:
    ordered = np.sort(values)
    costs = []
    for parts in range(1, k + 1):
        for cuts in combinations(range(1, len(ordered)), parts - 1):
            pieces = np.split(ordered, cuts)
            costs.append(sum(float(((p - p.mean()) ** 2).sum()) for p in pieces))
    return min(costs)


@given(st.lists(st.integers(0, 20), min_size=1, max_size=9), st.integers(1, 4))
def test_no_cut_of_the_line_is_better(values: list[int], k: int) -> None:
    array = np.array(values, dtype=float)
    labels = kmeans_1d(array, k)
    assert _cost(array, labels) == pytest.approx(_best_cost(array, k), abs=1e-9)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40), st.integers(1, 5))
def test_labels_rise_with_the_values(values: list[float], k: int) -> None:
    array = np.array(values)
    labels = kmeans_1d(array, k)
    order = np.argsort(array, kind="stable")
    assert (np.diff(labels[order]) >= 0).all()
    assert set(labels.tolist()) == set(range(labels.max() + 1))


def test_equal_values_share_a_cluster() -> None:
    assert kmeans_1d(np.array([0.5, 0.5, 0.5]), 3).tolist() == [0, 0, 0]


def test_three_obvious_groups() -> None:
    assert kmeans_1d(np.array([0.9, 0.1, 0.5, 0.11, 0.52, 0.91]), 3).tolist() == [2, 0, 1, 0, 1, 2]


@given(st.lists(st.integers(0, 60), min_size=1, max_size=60), st.integers(1, 6))
def test_halving_finds_what_all_pairs_find(values: list[int], k: int) -> None:
    array = np.array(values, dtype=float)
    starts = cluster_starts(array, k)
    labels = np.searchsorted(starts, array, side="right") - 1
    slow = plain.kmeans_all_pairs_cost(values, k)
    assert _cost(array, labels) == pytest.approx(slow, abs=1e-7)
    assert len(starts) == min(k, len(set(values)))


@pytest.mark.parametrize("shape", ["normal", "uniform", "exponential", "rounded"])
def test_top_cluster_of_many_values(shape: str) -> None:
    random = np.random.default_rng(7)
    values = getattr(random, "normal" if shape == "rounded" else shape)(size=600)
    values = np.round(values, 1) if shape == "rounded" else values
    assert cluster_starts(values, 3)[-1] == plain.kmeans_top(values.tolist(), 3)
    assert cluster_starts(values + 1e6, 3)[-1] == pytest.approx(plain.kmeans_top(values.tolist(), 3) + 1e6, abs=1e-8)


def test_top_cluster_agrees_with_trying_every_cut() -> None:
    values = [0.1, 0.12, 0.3, 0.55, 0.6, 0.61, 0.9]
    assert cluster_starts(np.array(values), 3)[-1] == plain.top_by_every_cut(values, 3)
