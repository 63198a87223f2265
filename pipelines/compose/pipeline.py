"""The Compose pipeline, built from the rows of the stages: search -> archive -> aggregate -> ... -> report.

One definition serves the cluster and the laptop. It is the same for every study: the study travels as one JSON
string (Kubeflow turns numbers inside dicts and lists into floats), and the lists it loops over are made by tasks.
Stages of somebody's own are in it as well (see `aira_lib.flow.stage`).
"""

import os
from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from typing import Any

from kfp import dsl

from aira_lib.flow.stage import POINTS, Stage, stages_in_order, stages_read
from aira_lib.registry import PLUGINS_VARIABLE
from components.plan import join, list_points, list_searches

REPORT = "report"
FURTHER = "further"
"""The report's parameter for records of stages that it does not know by themselves."""


def compose_pipeline(
    parallelism: int,
    store: str = "runs",
    study: str | None = None,
    trains: bool = True,
    points_at_once: int | None = None,
) -> Callable[..., Any]:
    """Build the pipeline.

    Args:
        parallelism: how many searches or pretraining points run at once. It is fixed in the compiled pipeline.
        store: default for the pipeline's parameter of that name.
        study: default for the pipeline's parameter of that name (JSON text); None makes it required.
        trains: whether to pretrain; kfp.local cannot collect what a loop over nothing gives, so a study on this
            machine that pretrains nothing is run without that loop.
        points_at_once: how many pretraining points run at once, where these take more of a machine than searches do.
    """

    def compose(study: str, store: str = store) -> str:
        """Discover architectures: a study from search to report.

        Args:
            study: The study as JSON text (`aira compile` fills it in from a YAML file).
            store: Where records and checkpoints are kept: a folder, file:// or s3://bucket/prefix.

        Returns:
            URI of the report's record.
        """
        return _Flow(study, store, parallelism, points_at_once or parallelism, trains).report()  # type: ignore[no-any-return]

    if study is not None:
        compose.__defaults__ = (study, store)
    pipeline: Callable[..., Any] = dsl.pipeline(name="aira-compose", description="Discover architectures.")(compose)
    return pipeline


class _Flow:
    """The tasks of the pipeline; `left` makes what each stage leaves: a URI, or a list of them.

    It is made anew for each reader: kfp changes a list that it collects.
    """

    def __init__(self, study: Any, store: Any, searches_at_once: int, points_at_once: int, trains: bool) -> None:
        self._given = {"study": study, "store": store}
        self._searches_at_once, self._points_at_once, self._trains = searches_at_once, points_at_once, trains
        self.left: dict[str, Callable[[], Any]] = {}

    def report(self) -> Any:
        """Add all stages; the report's URI."""
        order = stages_in_order()
        for stage in order:
            if stage.name in self.left:
                continue
            match stage.per:
                case "study":
                    self.left[stage.name] = self._output(self._task(stage, self._read(stage, self.left)))
                case "search":
                    names = _ready(list_searches(study=self._given["study"])).output
                    self._loop([each for each in order if each.per == "search"], names, "unit", self._searches_at_once)
                case "point":
                    self._points([each for each in order if each.per == "point"])
        return self.left[REPORT]()

    def _points(self, stages: Sequence[Stage]) -> None:
        if not self._trains:
            self.left |= {stage.name: list for stage in stages}
            return
        points = _ready(list_points(**self._given, designs=self.left[POINTS]()))
        # A point names its record of designs: kfp.local gives every outside output in a loop the loop's item.
        self._loop(stages, points.output, "point", self._points_at_once)

    def _loop(self, stages: Sequence[Stage], items: Any, parameter: str, at_once: int) -> None:
        """Tasks of stages that have one for each item, each after those in the loop that it reads."""
        made: dict[str, Callable[[], Any]] = {}
        with dsl.ParallelFor(items, parallelism=at_once) as item:
            for stage in stages:
                made[stage.name] = self._output(self._task(stage, {parameter: item, **self._read(stage, made)}))
        self.left |= {name: partial(_collected, output) for name, output in made.items()}

    def _task(self, stage: Stage, arguments: dict[str, Any]) -> Any:
        return _ready(_component(stage)(**self._given, **arguments))

    @staticmethod
    def _output(task: Any) -> Callable[[], Any]:
        return lambda: task.outputs["Output"]

    @staticmethod
    def _read(stage: Stage, left: dict[str, Callable[[], Any]]) -> dict[str, Any]:
        """The arguments of a stage's component: what the stages that it reads left, by the names of that."""
        takes = _component(stage).component_spec.inputs
        reads = [other for other in stages_read(stage) if other.name in left]
        known = {other.leaves: left[other.name]() for other in reads if other.leaves in takes}
        further = [left[other.name]() for other in reads if other.leaves not in takes]
        return {**known, FURTHER: _joined(further)} if FURTHER in takes else known


def _ready(task: Any) -> Any:
    """A task that always asks the store itself, and has the plugins with which the pipeline was compiled."""
    if plugins := os.environ.get(PLUGINS_VARIABLE):
        task.set_env_variable(PLUGINS_VARIABLE, plugins)
    return task.set_caching_options(False)


def _collected(output: Callable[[], Any]) -> Any:
    return dsl.Collected(output())


def _joined(lists: Sequence[Any]) -> Any:
    """One list of some, each a list or a single URI."""
    joined: Any = []
    for each in lists:
        records = each if isinstance(each, dsl.Collected | list) else [each]
        joined = records if joined == [] else _ready(join(first=joined, second=records)).output
    return joined


def _component(stage: Stage) -> Any:
    module, _, name = stage.component.partition(":")
    return getattr(import_module(module), name)
