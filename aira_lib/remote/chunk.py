"""Units of a study that make one run of Kubeflow Pipelines: as many as its Workflow holds, with pods of one kind.

A Workflow of Argo is one object of etcd, and each task leaves several nodes in its status: that of a whole study would
be over the limit of a mebibyte. So the units of a loop are cut into chunks, each a run of its own.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from pydantic import TypeAdapter

from aira_lib.cluster.pod import Pod
from aira_lib.cluster.presets import GPUS
from aira_lib.device import DEVICE_VARIABLE

MOST_UNITS = 20
"""Of a chunk. 20 searches, or 20 points with their scores, are within 300 KiB of a Workflow (tests/pipelines)."""

HOUR = 3600
LONGEST = 2**31 - 1
"""Seconds that Kubernetes takes for a deadline."""


@dataclass(frozen=True)
class Item:
    """What a loop has a turn for: a search, or a pretraining point.

    Attributes:
        name: Of its units, within their stages.
        given: As the components of these stages take it: the name, or that of a point after its designs' URI and "#".
        scale: Of a point; None: of a search, which has none.
        stages: Names of those of the loop's stages that the study wants of it, in their order; None: all.
    """

    name: str
    given: str
    scale: str | None = None
    stages: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Chunk:
    """What the pipeline of a chunk is compiled from: plain data.

    Attributes:
        name: Of the pipeline, such as aira-first-search.
        study: Its name, which pods are labelled with.
        reference: Of the study (see `aira_lib.flow.texts`).
        store: Where records are kept.
        run: Id of the whole, under which units say what became of them (see `aira_lib.flow.outcomes`).
        parameter: By which its stages' components take an item: unit, or point.
        items: See `Item.given`.
        pods: What the tasks get, by stage, in the order of the stages.
        at_once: How many items are worked on at once.
    """

    name: str
    study: str
    reference: str
    store: str
    run: str
    parameter: str
    items: tuple[str, ...]
    pods: dict[str, Pod]
    at_once: int

    @property
    def deadline_seconds(self) -> int:
        """After which a run of it is ended: when each pod took as long as it may, and an hour waiting for a node."""
        turn = sum(pod.deadline_seconds + HOUR for pod in self.pods.values())
        return min(math.ceil(len(self.items) / self.at_once) * turn, LONGEST)

    @property
    def kept_seconds(self) -> int:
        """For how long its Workflow stays after its end: a training of several nodes ends with its Workflow, and goes
        on for as long as its deadline after the task that waited for it was lost.
        """
        return min(max(pod.deadline_seconds for pod in self.pods.values()) + 24 * HOUR, LONGEST)

    def to_json(self) -> bytes:
        """As a file."""
        return _CHUNK.dump_json(self)

    @classmethod
    def from_json(cls, text: bytes) -> "Chunk":
        """Read what `to_json` wrote."""
        return _CHUNK.validate_json(text)


_CHUNK = TypeAdapter(Chunk)


def cut(items: Sequence[Item], most: int) -> Iterator[tuple[Item, ...]]:
    """Chunks of items of one scale each, for these have pods of one kind, and of the same stages, in the items' order.

    Args:
        items: to be cut.
        most: of a chunk.
    """
    kinds = list(dict.fromkeys(map(_kind, items)))
    ordered = sorted(items, key=lambda item: kinds.index(_kind(item)))
    for _, of_one in groupby(ordered, key=_kind):
        same = tuple(of_one)
        yield from (same[start : start + most] for start in range(0, len(same), most))


def _kind(item: Item) -> tuple[str | None, tuple[str, ...] | None]:
    return item.scale, item.stages


def pods_of_tasks(pods: Mapping[str, Pod]) -> dict[str, Pod]:
    """What the tasks of some stages get, by stage.

    The task of a unit of several nodes only starts their job and waits for it.
    """
    return {stage: _waiting(pod) if pod.nodes > 1 else pod for stage, pod in pods.items()}


def _waiting(pod: Pod) -> Pod:
    variables = {name: value for name, value in pod.variables.items() if name != GPUS}
    variables |= dict.fromkeys(("AIRA_THREADS", "OMP_NUM_THREADS"), "1")
    if pod.gpus:
        variables[DEVICE_VARIABLE] = "cuda"  # by what computes, the record is named, and that is the nodes
    return replace(
        pod, cores=1, memory_gib=4, gpus=0, shm_gib=1, disk_gib=20, nodes=1, node_selector={}, tolerations=(),
        deadline_seconds=pod.deadline_seconds + 24 * HOUR, variables=variables,
    )  # fmt: skip
