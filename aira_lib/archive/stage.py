"""Merge journals into one Parquet table with a row for every distinct design.

A design that several agents found is one row; its fitness is the mean over its distinct evaluations. Nodes that
failed, or whose validation fitness is not a finite number, are left out; so are designs whose training was stopped
early (`proxy.stopping`): what they scored by then does not compare with the scores of whole trainings.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from aira_lib.architecture.pattern import parse
from aira_lib.errors import UserError
from aira_lib.records import ArchiveRow, Node, read_rows, write_archive
from aira_lib.work import Work


def archive(
    journals: Sequence[tuple[str, Path]], work: Work, dataset: str = "mad", lower_is_better: bool = False
) -> None:
    """Write `archive.parquet`, best validation first.

    Args:
        journals: (search unit such as ``greedy-offline.s0``, its journal file), in any order.
        work: the stage's workplace.
        dataset: what the designs were evaluated on.
        lower_is_better: direction of the fitness, as of a loss.

    Raises:
        UserError: no journal holds a single valid design, so there is nothing to aggregate.
    """
    found: dict[str, list[tuple[str, Node]]] = defaultdict(list)
    for unit, journal in sorted(journals):
        for node in read_rows(journal, Node):
            if node.ranks and node.design is not None:
                found[str(node.design)].append((unit, node))
    if not found:
        raise UserError(
            f"none of the {len(journals)} searches found a valid design; "
            "read their journals, then give the agents more steps or another model"
        )
    rows = [_row(design, seen, dataset, lower_is_better) for design, seen in found.items()]
    rows.sort(key=lambda row: (row.validation if lower_is_better else -row.validation, row.design))
    write_archive(work.path / "archive.parquet", rows)
    work.log.metrics({"designs": len(rows), "best_validation": rows[0].validation}, step=0)
    work.progress(1, 1, f"{len(rows)} distinct designs")


def _distinct(nodes: Iterable[Node]) -> list[Node]:
    """One node an evaluation, in their order: a search, or another one, that asks again is given the same one.

    Evaluations have keys; without a store of them, a design with equal scores has been scored alike.
    """
    found: dict[object, Node] = {}
    for node in nodes:
        key = node.evaluation.key if node.evaluation else ""
        found.setdefault(key or (node.validation, node.test), node)
    return list(found.values())


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value


def _row(design: str, seen: list[tuple[str, Node]], dataset: str, lower_is_better: bool) -> ArchiveRow:
    distinct = _distinct(node for _, node in seen)
    tests = [node.test for node in distinct if node.test is not None]
    evaluations = [node.evaluation for node in distinct if node.evaluation]
    return ArchiveRow(
        dataset=dataset,
        lower_is_better=lower_is_better,
        design=design,
        layers=parse(design),
        validation=sum(_or_nan(node.validation) for node in distinct) / len(distinct),
        test=sum(tests) / len(tests) if tests else None,
        evaluations=len(distinct),
        agents=tuple(sorted({unit for unit, _ in seen})),
        first_seen=f"{seen[0][0]}/{seen[0][1].step}",
        params=max((e.params for e in evaluations), default=0),
        seconds=sum(e.training_seconds or e.seconds for e in evaluations),
    )
