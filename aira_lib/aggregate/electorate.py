"""Who votes for a base pattern, and with what weight.

Members are chosen in each data set on its own, because fitness on one says nothing of fitness on another, and each
data set then has the same weight in all (paper, appendix D.1). The order of members is by rank in their own data set;
equals of two data sets by the data sets' names.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aira_lib.aggregate.cluster import cluster_starts
from aira_lib.aggregate.table import DesignTable, fittest_first
from aira_lib.errors import UserError, nearest
from aira_lib.study import AggregateSection

Floats = NDArray[np.float64]
Rows = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Electorate:
    """Members, fittest first, and all designs that they were chosen from."""

    rows: Rows
    """[m]: rows of the table."""
    weights: Floats
    """[m]; sum to 1."""
    places: tuple[Rows, ...]
    """For each data set, where its members are in `rows`."""
    candidates: tuple[Rows, ...]
    """For each data set, rows of the table."""
    searches: Rows
    """[m]: a number for each search and data set; a member of which the search is not known has its own."""


def electorate(section: AggregateSection, table: DesignTable) -> Electorate:
    """Choose the members.

    Raises:
        UserError: an unknown data set or agent, nothing to choose from, or a design without the fitness to rank on.
    """
    candidates = _candidates(section, table)
    chosen = [rows[_members(section, goodness(section, table, rows), table, rows)] for rows in candidates]
    weights = [_weights(section, len(rows)) / len(chosen) for rows in chosen]
    rank = np.concatenate([np.arange(len(rows)) for rows in chosen])
    order = np.argsort(rank, kind="stable")
    number = np.concatenate([np.full(len(rows), place) for place, rows in enumerate(chosen)])[order]
    rows = np.concatenate(chosen)[order]
    known = table.search[rows] >= 0
    return Electorate(
        rows=rows,
        weights=np.concatenate(weights)[order],
        places=tuple(np.flatnonzero(number == place) for place in range(len(chosen))),
        candidates=tuple(candidates),
        searches=np.where(known, table.search[rows].astype(np.intp) * len(chosen) + number, -1 - np.arange(len(rows))),
    )


def goodness(section: AggregateSection, table: DesignTable, rows: Rows) -> Floats:
    """Fitness of rows of one data set, with its sign changed where lower is better."""
    values = table.fitness(section.rank_by)[rows]
    if not np.isfinite(values).all():
        design = table.design(rows[int(np.argmin(np.isfinite(values)))])
        raise UserError(
            f"aggregate {section.name!r} ranks by {section.rank_by}, but {design} has no {section.rank_by} fitness"
        )
    return -values if table.lower_is_better[table.dataset[rows[0]]] else values


def _candidates(section: AggregateSection, table: DesignTable) -> list[Rows]:
    """Rows of each data set that the section wants."""
    for kind, wanted, known in (
        ("data set", section.datasets, table.datasets),
        ("agent", section.agents, tuple(table.found_by)),
    ):
        for name in wanted:
            if name not in known:
                raise UserError(
                    f"aggregate {section.name!r}: the archive has nothing of {kind} {name!r}{nearest(name, known)}"
                )
    found = np.ones(len(table), dtype=bool)
    if section.agents:
        found = np.logical_or.reduce([table.found_by[agent] for agent in section.agents])
    rows = {name: np.flatnonzero(found & (table.dataset == i)) for i, name in enumerate(table.datasets)}
    wanted_names = [name for name in table.datasets if not section.datasets or name in section.datasets]
    for name in section.datasets:
        if not len(rows[name]):
            raise UserError(
                f"aggregate {section.name!r}: none of the agents {section.agents} found a design on {name!r}"
            )
    return [rows[name] for name in wanted_names if len(rows[name])]


def _members(section: AggregateSection, good: Floats, table: DesignTable, rows: Rows) -> Rows:
    """Places of the members in one data set, fittest first."""
    if section.method in ("cluster-vote", "bayes"):
        at_least, limit = cluster_starts(good, section.clusters)[-1], len(good)
    else:
        limit = min(section.top_k, len(good))
        at_least = np.partition(good, len(good) - limit)[len(good) - limit]
    places = np.flatnonzero(good >= at_least)  # with all that tie with the last
    return places[fittest_first(good[places], table.codes[rows[places]])][:limit]


def _weights(section: AggregateSection, n: int) -> Floats:
    """[n] by rank in one data set; sum to 1."""
    if section.method != "top-k":
        return np.full(n, 1 / n)
    half_life = section.half_life or max(section.top_k / 4, 1)
    raw = np.exp2(-np.arange(n) / half_life)
    return np.asarray(raw / raw.sum())
