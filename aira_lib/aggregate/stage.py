"""Turn the archive into base patterns, one for each way that the study names."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from aira_lib.aggregate.credible import Posterior, independent_votes, posterior
from aira_lib.aggregate.electorate import Electorate, electorate, goodness
from aira_lib.aggregate.resample import resampled
from aira_lib.aggregate.table import DesignTable, fittest_first, layers_of
from aira_lib.aggregate.vote import Codes, Votes, vote
from aira_lib.architecture.pattern import render
from aira_lib.architecture.primitives import PRIMITIVES
from aira_lib.records import BasePattern, Member, Representative, Resampling, write_rows
from aira_lib.study import AggregateSection
from aira_lib.work import Work

MEMBERS_LISTED = 500
"""A record lists so many members, the fittest: a top cluster can have hundreds of thousands."""

# What has no part in who votes and in who is drawn: sections that differ in nothing else share their electorate.
_AFTERWARDS = {"name", "context", "prior", "credibility"}


def aggregate(sections: Sequence[AggregateSection], table: DesignTable, work: Work) -> None:
    """Write `patterns.jsonl`: one `BasePattern` a section, in the study's order.

    Raises:
        UserError: see `electorate`.
    """
    patterns = base_patterns(sections, table)
    write_rows(work.path / "patterns.jsonl", patterns)
    for done, pattern in enumerate(patterns, 1):
        work.log.tags({f"pattern.{pattern.name}": pattern.pattern})
        work.progress(done, len(patterns), f"{pattern.name}: {pattern.pattern}")


def base_patterns(sections: Sequence[AggregateSection], table: DesignTable) -> list[BasePattern]:
    """Aggregate the archive in several ways; what they share is done once."""
    groups: dict[str, list[AggregateSection]] = {}
    for section in sections:
        method = "cluster-vote" if section.method == "bayes" else section.method
        choice = section.model_copy(update={"method": method}).model_dump_json(exclude=_AFTERWARDS)
        groups.setdefault(choice, []).append(section)
    made = {pattern.name: pattern for group in groups.values() for pattern in _of_one_electorate(group, table)}
    return [made[section.name] for section in sections]


def _of_one_electorate(sections: Sequence[AggregateSection], table: DesignTable) -> list[BasePattern]:
    first = sections[0]
    voters = electorate(first, table)
    codes = np.asfortranarray(table.codes[voters.rows])
    members = _listed(first, table, voters)
    votes = {section.context: vote(codes, voters.weights[None], section.context) for section in sections}
    chosen = {context: result.chosen[0] for context, result in votes.items()}
    again = resampled(codes, voters, chosen, first.resamples, first.seed) if first.resamples else {}
    return [_pattern(s, table, voters, codes, members, votes[s.context], again.get(s.context)) for s in sections]


def _pattern(
    section: AggregateSection,
    table: DesignTable,
    voters: Electorate,
    codes: Codes,
    members: tuple[Member, ...],
    result: Votes,
    again: Resampling | None,
) -> BasePattern:
    chosen, shares, intervals, worth = result.chosen[0], result.shares[0], [], np.empty(0)
    if section.method == "bayes":
        worth = independent_votes(codes == chosen, voters.weights, voters.searches, section.credibility)
        after = _posterior(section, table, worth, chosen, shares)
        shares, intervals = after.shares, after.intervals.tolist()
    layers = layers_of(chosen)
    distances = _distances(table.codes, chosen)
    return BasePattern(
        name=section.name,
        pattern=render(layers),
        layers=layers,
        method=section.method,
        settings=section.model_dump(mode="json", exclude={"name"}),
        rank_by=section.rank_by,
        candidates=sum(map(len, voters.candidates)),
        members=members,
        votes=tuple({p: share for p, share in zip(PRIMITIVES, row, strict=False) if share} for row in shares.tolist()),
        agreement=tuple(shares[np.arange(len(chosen)), chosen].tolist()),
        in_archive=bool((distances == 0).any()),
        voters=len(voters.rows),
        listed_weight=min(1.0, sum(member.weight for member in members)),
        datasets=tuple(table.datasets[table.dataset[rows[0]]] for rows in voters.candidates),
        intervals=tuple((low, high) for low, high in intervals),
        independent_votes=tuple(worth.tolist()),
        resampling=again,
        representative=_representative(section, table, voters, distances),
    )


def _posterior(
    section: AggregateSection, table: DesignTable, votes: NDArray[np.float64], chosen: Codes,
    shares: NDArray[np.float64],
) -> Posterior:  # fmt: skip
    """Over the primitives that the archive has anywhere: the others were not there to be chosen."""
    n_primitives = len(PRIMITIVES.names())
    used = np.flatnonzero([(table.codes == code).any() for code in range(n_primitives)])
    places = np.searchsorted(used, chosen).astype(np.uint8)
    every = np.zeros((len(shares), n_primitives))
    every[:, : shares.shape[1]] = shares  # the electorate may have fewer primitives than the archive
    after = posterior(every[:, used], places, votes, section.prior, section.credibility)
    every[:, used] = after.shares
    return Posterior(every, after.intervals)


def _listed(section: AggregateSection, table: DesignTable, voters: Electorate) -> tuple[Member, ...]:
    fitness = table.fitness(section.rank_by)
    return tuple(
        Member(
            design=table.design(row),
            weight=float(weight),
            fitness=float(fitness[row]),
            dataset=table.datasets[table.dataset[row]],
        )
        for row, weight in zip(voters.rows[:MEMBERS_LISTED], voters.weights, strict=False)
    )


def _representative(
    section: AggregateSection, table: DesignTable, voters: Electorate, distances: NDArray[np.uint8]
) -> Representative:
    """The candidate nearest to the pattern: fewest differing layers, of equals the best rank in its data set.

    Differing layers, not insertions and deletions: a vote compares designs place by place, and at c = 0 it is the
    design of least weighted distance of this kind to its members.
    """
    best: list[tuple[int, int, int, np.intp]] = []
    for number, rows in enumerate(voters.candidates):
        distance = distances[rows]
        near = np.flatnonzero(distance == distance.min())
        good = goodness(section, table, rows)
        first = near[fittest_first(good[near], table.codes[rows[near]])[0]]
        best.append((int(distance[first]), int((good > good[first]).sum()), number, rows[first]))
    distance_to_best, _, _, row = min(best)
    return Representative(
        design=table.design(int(row)),
        layers=layers_of(table.codes[row]),
        distance=distance_to_best,
        fitness=float(table.fitness(section.rank_by)[row]),
        dataset=table.datasets[table.dataset[row]],
    )


def _distances(codes: Codes, chosen: Codes) -> NDArray[np.uint8]:
    """[n]: in how many layers each design differs from one (at most 64, see the study's task)."""
    distance = np.zeros(len(codes), dtype=np.uint8)
    for layer, code in enumerate(chosen):
        distance += codes[:, layer] != code
    return distance
