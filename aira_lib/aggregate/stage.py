"""Turn the archive into base patterns, one for each method that the study names."""

import math
from collections.abc import Sequence

import numpy as np

from aira_lib.aggregate.cluster import kmeans_1d
from aira_lib.aggregate.vote import vote
from aira_lib.architecture.pattern import render
from aira_lib.errors import UserError
from aira_lib.records import ArchiveRow, BasePattern, Member, write_rows
from aira_lib.spec import AggregateSection
from aira_lib.work import Work


def aggregate(sections: Sequence[AggregateSection], rows: Sequence[ArchiveRow], work: Work) -> None:
    """Write `patterns.jsonl`: one `BasePattern` a section, in the study's order."""
    patterns = [base_pattern(section, rows) for section in sections]
    write_rows(work.path / "patterns.jsonl", patterns)
    for done, pattern in enumerate(patterns, 1):
        work.log.tags({f"pattern.{pattern.name}": pattern.pattern})
        work.progress(done, len(patterns), f"{pattern.name}: {pattern.pattern}")


def base_pattern(section: AggregateSection, rows: Sequence[ArchiveRow]) -> BasePattern:
    """Aggregate the archive in one way.

    Raises:
        UserError: the section ranks on test fitness and a design has none.
    """
    ranked = sorted(rows, key=lambda row: (-_fitness(row, section), row.design))
    members, weights = _electorate(section, ranked)
    result = vote([row.layers for row in members], weights, section.context)
    return BasePattern(
        name=section.name,
        pattern=render(result.layers),
        layers=result.layers,
        method=section.method,
        settings=section.model_dump(mode="json", exclude={"name"}),
        rank_by=section.rank_by,
        candidates=len(rows),
        members=tuple(
            Member(design=row.design, weight=weight, fitness=_fitness(row, section))
            for row, weight in zip(members, weights, strict=True)
        ),
        votes=result.shares,
        agreement=result.agreement,
        in_archive=any(tuple(row.layers) == result.layers for row in rows),
    )


def _fitness(row: ArchiveRow, section: AggregateSection) -> float:
    value = row.validation if section.rank_by == "validation" else row.test
    if value is None:
        raise UserError(f"aggregate {section.name!r} ranks by test, but {row.design} has no test fitness")
    return value


def _electorate(section: AggregateSection, ranked: list[ArchiveRow]) -> tuple[list[ArchiveRow], list[float]]:
    """Who votes, fittest first, and with what weight (weights sum to 1)."""
    if section.method == "cluster-vote":
        labels = kmeans_1d(np.array([_fitness(row, section) for row in ranked]), section.clusters)
        top = [row for row, label in zip(ranked, labels, strict=True) if label == labels.max()]
        return top, [1.0 / len(top)] * len(top)
    top = ranked[: section.top_k]
    # Exponential decay by rank; the paper does not state the rate: half-life of a quarter of the list.
    raw = [math.exp(-math.log(2) * rank / max(section.top_k / 4, 1)) for rank in range(len(top))]
    return top, [weight / sum(raw) for weight in raw]
