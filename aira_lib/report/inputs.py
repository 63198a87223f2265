"""What the report is made of: the records of all stages before it, as plain data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from aira_lib.records import (
    ArchiveRow,
    BasePattern,
    Downstream,
    Failure,
    Latency,
    Node,
    ScaledDesign,
    Score,
    StandIn,
    TrainingRun,
)

Asked = tuple[str, int]
"""A downstream task and its number of shots."""


class SearchRun(NamedTuple):
    """One search: the journal of one agent and seed, the number of steps it was allowed, its fitness's direction.

    `page` is where its page lies, as a link from the report beside the records; empty where that is not known. `told`
    is its search.json.
    """

    agent: str
    seed: int
    nodes: Sequence[Node]
    budget_steps: int
    lower_is_better: bool = False
    page: str = ""
    told: Mapping[str, Any] = MappingProxyType({})


class LossCurve(NamedTuple):
    """The training loss of one point, in nats per token, in sequences of equal length; no `flops`: not known.

    Each entry is a mean over `window` steps, of which `step` is the last.
    """

    step: Sequence[int]
    tokens: Sequence[float]
    loss: Sequence[float]
    flops: Sequence[float] = ()
    window: int = 1


class TaskItems(NamedTuple):
    """What one checkpoint scored on the items of one task.

    `keys` are each item's place in its split and its digest; `scores` are [items] by metric; `chosen` are the choices
    by number, empty where there are none.
    """

    keys: Sequence[tuple[int, str]]
    scores: Mapping[str, NDArray[np.float64]]
    chosen: Sequence[int] = ()


class DownstreamRun(NamedTuple):
    """The downstream scores of one checkpoint, and the same by item."""

    record: Downstream
    items: Mapping[Asked, TaskItems]


@dataclass(frozen=True)
class ReportInputs:
    """Everything that the page shows. Any part may be empty: a sentence then stands in its place.

    Attributes:
        searches: one entry an agent and seed.
        archive: the distinct designs of all searches.
        patterns: the aggregated base patterns.
        designs: every design at every scale, trained or only described.
        runs: finished pretraining runs.
        curves: point id -> loss curve, for runs that have one.
        scores: what was measured on the final checkpoints.
        stand_ins: what was small or synthetic.
        versions: package -> version of what computed the results.
        further: what a stage does -> its rows, of stages that the report does not know by themselves.
        timings: stage -> seconds, summed over its records, in the order of the flow; the only part that differs
            between equal studies.
        failures: of the units that left no record.
        downstream: what downstream tasks say of final checkpoints, where the study asks for it.
        latency: measured times, where the study asks for them.
    """

    searches: Sequence[SearchRun] = ()
    archive: Sequence[ArchiveRow] = ()
    patterns: Sequence[BasePattern] = ()
    designs: Sequence[ScaledDesign] = ()
    runs: Sequence[TrainingRun] = ()
    curves: Mapping[str, LossCurve] = field(default_factory=dict)
    scores: Sequence[Score] = ()
    stand_ins: Sequence[StandIn] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    timings: Mapping[str, float] = field(default_factory=dict)
    further: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    failures: Sequence[Failure] = ()
    downstream: Sequence[DownstreamRun] = ()
    latency: Latency | None = None
