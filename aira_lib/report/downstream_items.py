"""Scores of downstream tasks by item: read from records, and put into one order over all trainings of a study."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aira_lib.report.inputs import Asked, DownstreamRun, TaskItems

Floats = NDArray[np.float64]

METRICS = ("acc", "acc_norm", "f1", "exact")


def read_items(path: Path) -> dict[Asked, TaskItems]:
    """The items of a record's `items.parquet`, by task and shots, in the order of the file."""
    import pyarrow.parquet as pq

    table = pq.read_table(path, columns=["task", "shots", "item", "digest", "chosen", *METRICS])
    columns: dict[str, list[Any]] = table.to_pydict()
    rows: dict[Asked, list[int]] = {}
    for place, asked in enumerate(zip(columns["task"], columns["shots"], strict=True)):
        rows.setdefault(asked, []).append(place)
    return {asked: _of_task(columns, places) for asked, places in rows.items()}


def _of_task(columns: Mapping[str, Sequence[Any]], places: Sequence[int]) -> TaskItems:
    def of(name: str) -> list[Any]:
        return [columns[name][place] for place in places]

    values = {metric: of(metric) for metric in METRICS}
    scores = {metric: np.array(found) for metric, found in values.items() if None not in found}
    return TaskItems(
        list(zip(of("item"), of("digest"), strict=True)), scores, [each for each in of("chosen") if each is not None]
    )


@dataclass(frozen=True)
class Paired:
    """One task of all designs, on the items that every training was asked.

    `scores` are [seeds, items] by design and metric, `items` how many every training has, of at most `most`.
    """

    scores: Mapping[str, Mapping[str, Floats]]
    items: int
    most: int


def pair(asked: Asked, designs: Mapping[str, Sequence[DownstreamRun]]) -> Paired | None:
    """Put the items of all trainings in one order, by their place in the split and their digest.

    Args:
        asked: task and shots.
        designs: name -> its trainings, one a seed.

    Returns:
        Nothing where some training has no score of the task, or no item is common to all.
    """
    runs = [run.items.get(asked) for trainings in designs.values() for run in trainings]
    found = [items for items in runs if items is not None]
    if not found or len(found) < len(runs):
        return None
    common = set(found[0].keys).intersection(*(items.keys for items in found[1:]))
    if not common:
        return None
    order = sorted(common)
    scores = {
        name: _stacked([_in_order(run.items[asked], order) for run in trainings]) for name, trainings in designs.items()
    }
    return Paired(scores, len(order), max(len(items.keys) for items in found))


def _in_order(items: TaskItems, order: Sequence[tuple[int, str]]) -> dict[str, Floats]:
    places = {key: place for place, key in enumerate(items.keys)}
    chosen = [places[key] for key in order]
    return {metric: values[chosen] for metric, values in items.scores.items()}


def _stacked(seeds: Sequence[Mapping[str, Floats]]) -> dict[str, Floats]:
    """[seeds, items] by metric, of the metrics that every seed has."""
    return {name: np.stack([s[name] for s in seeds]) for name in seeds[0] if all(name in s for s in seeds)}
