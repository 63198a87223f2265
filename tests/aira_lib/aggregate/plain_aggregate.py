"""Every part of aggregation written out slowly, as its definition says: lists, dictionaries and loops."""

import random
from collections import Counter
from collections.abc import Sequence
from itertools import combinations, pairwise
from typing import Literal

from aira_lib.architecture.pattern import Layers
from aira_lib.records import ArchiveRow
from aira_lib.study import AggregateSection

ORDER = {"A": 0, "M": 1, "Mb": 2}


def kmeans_cost(groups: Sequence[Sequence[float]]) -> float:
    return sum(sum((v - sum(g) / len(g)) ** 2 for v in g) for g in groups)


def top_by_every_cut(values: Sequence[float], k: int) -> float:
    """The lowest value of the top cluster, by trying every cut between distinct values."""
    distinct = sorted(set(values))
    if len(distinct) <= k:
        return distinct[-1]
    best = (float("inf"), 0.0)
    for cuts in combinations(range(1, len(distinct)), k - 1):
        edges = [0, *cuts, len(distinct)]
        groups = [[v for v in values if v in distinct[a:b]] for a, b in pairwise(edges)]
        best = min(best, (kmeans_cost(groups), distinct[edges[-2]]))
    return best[1]


def kmeans_top(values: Sequence[float], k: int) -> float:
    """The same by dynamic programming over all pairs of ends and starts, O(k n^2) for n distinct values."""
    return _all_pairs(values, k)[0]


def kmeans_all_pairs_cost(values: Sequence[float], k: int) -> float:
    """The least sum of squared distances of k clusters."""
    return _all_pairs(values, k)[1]


def _all_pairs(values: Sequence[float], k: int) -> tuple[float, float]:
    counts = Counter(values)
    x = sorted(counts)
    n = len(x)
    if n <= k:
        return x[-1], 0.0
    middle = sum(values) / len(values)
    s0, s1, s2 = [0], [0.0], [0.0]
    for v in x:
        s0.append(s0[-1] + counts[v])
        s1.append(s1[-1] + counts[v] * (v - middle))
        s2.append(s2[-1] + counts[v] * (v - middle) ** 2)

    def spread(a: int, b: int) -> float:
        return s2[b] - s2[a] - (s1[b] - s1[a]) ** 2 / (s0[b] - s0[a])

    best = [0.0, *(spread(0, e) for e in range(1, n + 1))]
    top = 0
    for level in range(1, k):
        following = [float("inf")] * (n + 1)
        for end in range(level + 1, n + 1) if level < k - 1 else [n]:
            following[end], top = min((best[s] + spread(s, end), s) for s in range(level, end))
        best = following
    return x[top], best[n]


def vote(
    members: Sequence[Layers], weights: Sequence[float], context: int | Literal["all"]
) -> tuple[Layers, list[dict[str, float]]]:
    chosen: list[str] = []
    shares: list[dict[str, float]] = []
    there = [(m, w) for m, w in zip(members, weights, strict=True) if w > 0]
    for index in range(len(members[0])):
        wanted = index if context == "all" else min(context, index)
        voters = [(m, w) for m, w in there if list(m[index - wanted : index]) == chosen[index - wanted :]]
        total = sum(w for _, w in voters)
        share: dict[str, float] = {}
        for m, w in voters:  # fittest first: of the tied, max takes the one that came in first
            share[m[index]] = share.get(m[index], 0.0) + w / total
        chosen.append(max(share, key=lambda p: round(share[p], 9)))
        shares.append(share)
    return tuple(chosen), shares


def electorate(section: AggregateSection, rows: Sequence[ArchiveRow]) -> list[tuple[ArchiveRow, float]]:
    """Members and weights, in the order of their rank in their own data set."""
    rows = [r for r in rows if not section.datasets or r.dataset in section.datasets]
    agents = set(section.agents)
    rows = [r for r in rows if not agents or agents & {unit.rpartition(".s")[0] for unit in r.agents}]
    names = sorted({r.dataset for r in rows})
    found: list[tuple[int, int, ArchiveRow, float]] = []
    for number, name in enumerate(names):
        good = [(_goodness(section, r), r) for r in rows if r.dataset == name]
        good.sort(key=lambda pair: (-pair[0], [ORDER[p] for p in pair[1].layers]))
        if section.method in ("cluster-vote", "bayes"):
            least = kmeans_top([g for g, _ in good], section.clusters)
            members, raw = [r for g, r in good if g >= least], [1.0] * len(good)
        else:
            members = [r for _, r in good[: section.top_k]]
            half = section.half_life or max(section.top_k / 4, 1)
            raw = [0.5 ** (i / half) if section.method == "top-k" else 1.0 for i in range(len(members))]
        total = sum(raw[: len(members)]) * len(names)
        found += [(rank, number, r, w / total) for rank, (r, w) in enumerate(zip(members, raw, strict=False))]
    return [(r, w) for _, _, r, w in sorted(found, key=lambda f: f[:2])]


def _goodness(section: AggregateSection, row: ArchiveRow) -> float:
    value = row.validation if section.rank_by == "validation" else row.test
    assert value is not None
    return -value if row.lower_is_better else value


def representative(section: AggregateSection, rows: Sequence[ArchiveRow], layers: Layers) -> tuple[ArchiveRow, int]:
    """Of the nearest designs the one that fewest of its data set are fitter than."""

    def rank(row: ArchiveRow) -> int:
        return sum(_goodness(section, r) > _goodness(section, row) for r in rows if r.dataset == row.dataset)

    distance = {id(r): sum(a != b for a, b in zip(r.layers, layers, strict=True)) for r in rows}
    nearest = [r for r in rows if distance[id(r)] == min(distance.values())]
    best = min(nearest, key=lambda r: (rank(r), r.dataset, [ORDER[p] for p in r.layers]))
    return best, distance[id(best)]


def resampled(
    members: Sequence[tuple[ArchiveRow, float]], context: int | Literal["all"], layers: Layers, n: int, seed: int
) -> tuple[list[float], float]:
    """Shares of n resamples that keep each layer, and all of them (other draws than the fast form)."""
    rng = random.Random(seed)
    kept, whole = [0] * len(layers), 0
    names = sorted({r.dataset for r, _ in members})
    for _ in range(n):
        weight: dict[int, float] = dict.fromkeys(range(len(members)), 0.0)
        for name in names:
            places = [i for i, (r, _) in enumerate(members) if r.dataset == name]
            drawn = sorted(rng.choices(places, k=len(places)))
            for rank, place in enumerate(drawn):
                weight[place] += members[places[rank]][1]
        again, _ = vote([r.layers for r, _ in members], list(weight.values()), context)
        same = [a == b for a, b in zip(again, layers, strict=True)]
        kept = [k + s for k, s in zip(kept, same, strict=True)]
        whole += all(same)
    return [k / n for k in kept], whole / n
