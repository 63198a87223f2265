"""Tasks of lm-evaluation-harness over items that lie here: nothing is looked up on a network.

A task has the harness's own definition, or ours in a file of the same form (CoQA, SQuADv2), and a split of ours: it is
what is scored, and what the examples in prompts are drawn from, for the packages carry no other.
"""

import contextlib
import importlib.util
import json
import logging
import random
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aira_lib.downstream.data import TaskData, task_data
from aira_lib.downstream.tables import DownstreamTask
from aira_lib.errors import MissingDependency, UserError

if TYPE_CHECKING:
    from lm_eval.api.instance import Instance
    from lm_eval.api.model import LM
    from lm_eval.api.task import ConfigurableTask


@dataclass(frozen=True)
class HarnessTask:
    """A task of the harness that can be asked.

    Attributes:
        task: which.
        shots: examples in each prompt, of the same split and never the item itself.
        data: all items of the split.
        chosen: which items are scored: their numbers in the split's own order, ascending.
        docs: the chosen items as the harness has them.
        requests: those of each chosen item, in the harness's order; of each, `task_name` is `name` and `doc_id` the
            number of the item.
        harness: the harness's task object.
    """

    task: DownstreamTask
    shots: int
    data: TaskData
    chosen: tuple[int, ...]
    docs: tuple[dict[str, Any], ...]
    requests: "tuple[tuple[Instance, ...], ...]"
    harness: "ConfigurableTask"

    @property
    def name(self) -> str:
        """What the task is called with its shots, such as `arc_e:10`."""
        return task_name(self.task, self.shots)

    @property
    def note(self) -> str:
        """What its score must say; empty: nothing."""
        examples = f"examples of prompts are of {self.data.split}, never the item itself" if self.shots else ""
        return "; ".join(filter(None, (self.data.note, examples)))


def task_name(task: DownstreamTask, shots: int) -> str:
    """What a task is called with its shots: `NAME:SHOTS`, which `tables.tasks_named` understands."""
    return f"{task.name}:{shots}"


def harness_task(task: DownstreamTask, shots: int, folder: Path, limit: int | None, seed: int) -> HarnessTask:
    """Build a task and its prompts.

    Args:
        task: which.
        shots: examples in each prompt.
        folder: of the items, see `data.data_folder`.
        limit: score the first so many of a permutation of the split; None: all.
        seed: of the permutation, and with what an item says of the examples in its prompt: that does not depend on
            which other items are scored.

    Raises:
        UserError: see `data.task_data`; or there are too few items for so many examples.
        MissingDependency: lm-eval is not installed.
    """
    data = task_data(task, folder)
    others = len(set(data.digests)) - 1
    if others < shots:
        raise UserError(
            f"{task_name(task, shots)}: of {len(data):,} items an item has {max(others, 0):,} others to show as "
            f"examples; ask for fewer shots, or get all of {data.split}: {task.source}"
        )
    built = _built(task, shots, data)
    built.set_fewshot_seed(seed)
    chosen = chosen_items(len(data), limit, seed)
    docs = tuple(built.eval_docs.select(chosen).to_list())
    with _compiled_once():
        asked = zip(chosen, docs, strict=True)
        requests = tuple(_requests(built, task_name(task, shots), shots, number, doc) for number, doc in asked)
    return HarnessTask(task, shots, data, chosen, docs, requests, built)


def chosen_items(count: int, limit: int | None, seed: int) -> tuple[int, ...]:
    """The numbers, ascending, of the first `limit` items of a permutation of `count`; a larger limit adds to them."""
    order = random.Random(f"items {seed}").sample(range(count), count)
    return tuple(sorted(order[:limit]))


def answered(asked: HarnessTask, model: "LM") -> list[dict[str, Any]]:
    """Have a model answer all requests of a task.

    Returns:
        A dictionary an item, in the order of `asked.chosen`: `item` (its number), `responses` (what the model gave,
        one a request: nats and whether it was the likeliest, or a text) and `metrics` as the harness computes them.
    """
    every = [request for requests in asked.requests for request in requests]
    kinds = {request.request_type for request in every}
    (kind,) = kinds  # no task asks for two kinds
    responses = iter(getattr(model, kind)(every))
    samples = []
    with _compiled_once():
        for number, doc, requests in zip(asked.chosen, asked.docs, asked.requests, strict=True):
            given = [next(responses) for _ in requests]
            samples.append({"item": number, "responses": given, "metrics": asked.harness.process_results(doc, given)})
    return samples


def _requests(
    built: "ConfigurableTask", name: str, shots: int, number: int, doc: dict[str, Any]
) -> "tuple[Instance, ...]":
    prompt = built.fewshot_context(doc, num_fewshot=shots, gen_prefix=built.doc_to_prefix(doc))
    made = built.construct_requests(doc=doc, ctx=prompt, metadata=(name, number, 1))
    return tuple(made) if isinstance(made, list) else (made,)


def _built(task: DownstreamTask, shots: int, data: TaskData) -> "ConfigurableTask":
    """The harness's task object over a split."""
    if importlib.util.find_spec("lm_eval") is None or importlib.util.find_spec("datasets") is None:
        raise MissingDependency("scoring downstream tasks", "eval")
    import pyarrow.parquet as pq

    with _quiet(), tempfile.TemporaryDirectory() as folder:
        from lm_eval.tasks import TaskManager

        pq.write_table(data.table, Path(folder, "items.parquet"))
        Path(folder, "task.yaml").write_text(_definition(task, shots, data.split, folder), encoding="utf-8")
        manager = TaskManager(include_path=folder, include_defaults=False)
        name = task_name(task, shots)
        built = manager.load([name])["tasks"][name]
    built.dataset = {data.split: built.task_docs}  # processed once; else they would be at every look at them
    built.config.process_docs = built.fewshot_cfg.process_docs = None
    return built


def _definition(task: DownstreamTask, shots: int, split: str, folder: str) -> str:
    """A file that includes the task's definition and says where its items are.

    The sampler of examples leaves out the item that is asked only where their split is called test_split, too.
    """
    lines = {
        "include": json.dumps(str(_included(task))),
        "task": json.dumps(task_name(task, shots)),
        "tag": "null",
        "custom_dataset": "!function aira_lib.downstream.harness.dataset_of",
        "dataset_kwargs": json.dumps({"path": str(Path(folder, "items.parquet")), "split": split}),
        "training_split": "null",
        "validation_split": "null",
        "test_split": split,
        "fewshot_split": split,
        "num_fewshot": str(shots),
        "fewshot_config": "{sampler: !function aira_lib.downstream.examples.OfOthers}",
    }
    if task.name == "agieval_lsat_ar":  # its right choices are a list of numbers, which the harness takes for texts
        lines["fewshot_config"] = lines["fewshot_config"].replace("}", ", doc_to_target: '{{choices[gold[0]]}}'}")
    return "".join(f"{name}: {value}\n" for name, value in lines.items())


def _included(task: DownstreamTask) -> Path:
    import lm_eval.tasks

    if not task.definition:
        return Path(__file__).with_name(f"{task.name}.yaml")
    return Path(lm_eval.tasks.__file__).parent / task.definition


@contextlib.contextmanager
def _compiled_once() -> Iterator[None]:
    """Have the harness compile each template of a task once instead of once an item: the time of all else is small."""
    from lm_eval import utils

    compiled = utils.env.from_string
    utils.env.from_string = cache(compiled)
    try:
        yield
    finally:
        utils.env.from_string = compiled


def dataset_of(path: str, split: str, **_: Any) -> Any:
    """For the harness: the items as its kind of data set, in memory; it passes what a definition's metadata says."""
    import datasets
    import pyarrow.parquet as pq

    return datasets.DatasetDict({split: datasets.Dataset(datasets.table.InMemoryTable(pq.read_table(path)))})


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The harness and its data sets without what they tell of themselves while a task is built."""
    import datasets

    shown = not datasets.are_progress_bars_disabled()
    logger = logging.getLogger("lm_eval")
    level = logger.level
    logger.setLevel(logging.ERROR)
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        logger.setLevel(level)
        if shown:
            datasets.enable_progress_bars()
