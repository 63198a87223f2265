"""What was answered, item by item: the rows of `items.parquet`, and metrics counted from them anew.

The harness computes its metrics from its own reading of an item; the rows have the right choice as our reading of the
file says, so that counting them again is a check of both.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from aira_lib.downstream.harness import HarnessTask
from aira_lib.records.downstream import Measured
from aira_lib.significance.estimate import mean_of_items

if TYPE_CHECKING:
    from lm_eval.api.instance import Instance

METRICS = ("acc", "acc_norm", "f1", "exact")


def items_of(
    asked: HarnessTask, samples: Iterable[Mapping[str, Any]], was_cut: "Callable[[Instance], bool]"
) -> list[dict[str, Any]]:
    """The rows of `items.parquet` of one task with one number of shots.

    `item` is the item's number in its split, `digest` the SHA-256 of what it says. `loglikelihoods` (nats) and
    `lengths` (characters, as acc_norm divides) are those of the choices, `gold` and `chosen` (of the likeliest) their
    numbers; of a task that asks for one word there is one likelihood and no number, of one that asks for a text only
    that (`answer`). A metric that the task does not have is None. `cut`: a prompt of it lost its beginning.

    Args:
        asked: the task.
        samples: what `harness.answered` gave.
        was_cut: whether a request's prompt lost its beginning.
    """
    every = zip(asked.docs, asked.requests, samples, strict=True)
    return [
        _row(asked, doc, sample) | {"cut": any(was_cut(each) for each in requests)} for doc, requests, sample in every
    ]


def _row(asked: HarnessTask, doc: dict[str, Any], sample: Mapping[str, Any]) -> dict[str, Any]:
    number, responses = sample["item"], sample["responses"]
    row: dict[str, Any] = {
        "task": asked.task.name, "shots": asked.shots, "item": number, "digest": asked.data.digests[number],
        "gold": asked.data.golds[number], "chosen": None, "loglikelihoods": None, "lengths": None, "answer": None,
        **dict.fromkeys(METRICS),
    }  # fmt: skip
    for metric in asked.task.metrics:
        row[metric] = float(sample["metrics"][metric])
    if asked.task.kind == "generation":
        return {**row, "answer": responses[0]}
    nats = [float(each[0]) for each in responses]
    if asked.task.kind == "loglikelihood":
        return {**row, "loglikelihoods": nats, "lengths": [len(asked.harness.doc_to_target(doc))]}
    lengths = [len(choice) for choice in asked.harness.doc_to_choice(doc)]
    return {**row, "loglikelihoods": nats, "lengths": lengths, "chosen": int(np.argmax(nats))}


def recount(rows: Sequence[Mapping[str, Any]]) -> dict[str, Measured]:
    """Metrics of one task with one number of shots, counted anew from the rows of its items.

    A right choice is counted from likelihoods and lengths; where there are no choices, the items' own metrics count.
    """
    found: dict[str, Measured] = {}
    for metric in METRICS:
        if all(row[metric] is not None for row in rows):
            found[metric] = measured([_counted(row, metric) for row in rows])
    return found


def _counted(row: Mapping[str, Any], metric: str) -> float:
    if row["gold"] is None:
        return float(row[metric])
    nats = np.array(row["loglikelihoods"])
    values = nats / np.array(row["lengths"], dtype=float) if metric == "acc_norm" else nats
    return float(values.argmax() == row["gold"])


def measured(values: Sequence[float]) -> Measured:
    """Their mean, and its standard error from their sample variance: of a share p of n, sqrt(p (1 - p) / (n - 1))."""
    found = mean_of_items(values)
    return Measured(value=found.value, stderr=found.stderr)
