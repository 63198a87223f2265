"""Tasks of lm-evaluation-harness over items that lie here: nothing is looked up on a network."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aira_lib.downstream.data import TaskData
from aira_lib.downstream.tables import DownstreamTask

if TYPE_CHECKING:
    from lm_eval.api.instance import Instance
    from lm_eval.api.model import LM
    from lm_eval.api.task import ConfigurableTask


@dataclass(frozen=True)
class HarnessTask:
    """A task of the harness that can be asked.

    Attributes:
        shots: examples in each prompt, of the same split and never the item itself.
        data: all items of the split.
        chosen: which items are scored: their numbers in the split's own order, ascending.
        docs: the chosen items as the harness has them.
        requests: those of each chosen item, in the harness's order; `request.doc_id` is the item's number.
        harness: the harness's task object.
    """

    task: DownstreamTask
    shots: int
    data: TaskData
    chosen: tuple[int, ...]
    docs: tuple[dict[str, Any], ...]
    requests: "tuple[tuple[Instance, ...], ...]"
    harness: "ConfigurableTask"


def harness_task(task: DownstreamTask, shots: int, folder: Path, limit: int | None, seed: int) -> HarnessTask:
    """Build a task and its prompts.

    Args:
        task: which.
        shots: examples in each prompt.
        folder: of the items, see `data.data_folder`.
        limit: score the first so many of a permutation of the split; None: all.
        seed: of the permutation, and with an item's content of the examples that its prompt shows: an item's prompt
            does not depend on which others are scored.

    Raises:
        UserError: see `data.task_data`; or there are too few items for so many examples.
        MissingDependency: lm-eval is not installed.
    """
    raise NotImplementedError


def answered(asked: HarnessTask, model: "LM") -> list[dict[str, Any]]:
    """Have a model answer all requests; the harness's samples, one an item, with its metrics.

    Returns:
        A dictionary an item: `item` (its number), `responses` (as the model gave them, one a request), and the metrics
        by name as the harness computed them.
    """
    raise NotImplementedError
