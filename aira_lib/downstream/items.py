"""What was answered, item by item: the rows of `items.parquet`, and metrics counted from them anew."""

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from aira_lib.downstream.harness import HarnessTask
from aira_lib.records.downstream import Measured

if TYPE_CHECKING:
    from lm_eval.api.instance import Instance


def items_of(
    asked: HarnessTask, samples: Iterable[Mapping[str, Any]], was_cut: "Callable[[Instance], bool]"
) -> list[dict[str, Any]]:
    """The rows of `items.parquet` of one task (columns: see `SCHEMA`).

    Args:
        asked: the task.
        samples: what `harness.answered` gave.
        was_cut: whether a request's prompt lost its beginning.
    """
    raise NotImplementedError


def recount(rows: Iterable[Mapping[str, Any]]) -> dict[str, Measured]:
    """Metrics of one task with one number of shots, from likelihoods, lengths and right choices alone."""
    raise NotImplementedError
