"""The tasks by their AIRS-Bench names."""

from dataclasses import dataclass

from aira_lib.errors import UserError, nearest
from aira_lib.study import ProxySection


@dataclass(frozen=True)
class SearchTask:
    """A search over the arrangement of a model's layers.

    Attributes:
        name: Problem, data set and metric in one word, as AIRS-Bench names tasks.
        primitives: The kinds of layer that a design may use, by their pattern symbols.
        dataset: What the proxy trains and scores on.
        metric: The name of the fitness.
        lower_is_better: The direction of the fitness.
    """

    name: str
    primitives: tuple[str, ...]
    dataset: str = "mad"
    metric: str = "Accuracy"
    lower_is_better: bool = False


TASKS = {
    task.name: task
    for task in (
        SearchTask("NeuralArchitectureSearchMAD3PrimitivesMbAccuracy", ("A", "M", "Mb")),
        SearchTask("NeuralArchitectureSearchMAD2PrimitivesAccuracy", ("A", "M")),
        SearchTask("NeuralArchitectureSearchBabiStories2PrimitivesLoss", ("A", "M"), "babistories", "Loss", True),
        SearchTask("NeuralArchitectureSearchDCLM2PrimitivesLoss", ("A", "M"), "dclm", "Loss", True),
    )
}


def task_named(name: str) -> SearchTask:
    """Look up a task.

    Raises:
        UserError: there is no such task; the line gives the nearest name.
    """
    if name not in TASKS:
        raise UserError(f"unknown task {name!r}{nearest(name, TASKS)}")
    return TASKS[name]


def proxy_for(task: SearchTask, proxy: ProxySection) -> ProxySection:
    """A study's proxy with the data set of its task.

    Raises:
        UserError: the proxy names another data set.
    """
    if proxy.dataset not in (None, task.dataset):
        raise UserError(
            f"proxy.dataset is {proxy.dataset}, but task {task.name} is scored on {task.dataset}; leave it out"
        )
    return proxy.model_copy(update={"dataset": task.dataset})
