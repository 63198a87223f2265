"""The Compose pipeline, built from the rows of the stages: search -> archive -> aggregate -> ... -> report.

It is the same for every study: the study travels as one text (Kubeflow turns numbers inside dicts and lists into
floats), and the lists it loops over are made by tasks. What a loop has left is looked up in the store by a task after
it, and travels as one text, too: a list of all records would be longer than an argument may be.
Stages of somebody's own are in it as well (see `aira_lib.flow.stage`).
"""

import os
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

from kfp import dsl

from aira_lib.flow.stage import POINTS, Stage, stages_in_order, stages_read
from aira_lib.registry import PLUGINS_VARIABLE
from components.plan import collect, list_points, list_searches

LISTS = {"search": "searches", "point": "points"}
"""The parameters of a component for lists of records: of all searches, of all pretraining points."""

REPORT = "report"
FURTHER = "further"
"""The report's parameter for records of stages that it does not know by themselves."""

RUN = "run"
"""The parameter for the name of the run of the study, under which is kept what became of its units."""


def compose_pipeline(
    parallelism: int,
    store: str = "runs",
    study: str | None = None,
    trains: bool = True,
    points_at_once: int | None = None,
    run: str = dsl.PIPELINE_JOB_ID_PLACEHOLDER,
) -> Callable[..., Any]:
    """Build the pipeline.

    Args:
        parallelism: how many searches or pretraining points run at once. It is fixed in the compiled pipeline.
        store: default for the pipeline's parameter of that name.
        study: default for the pipeline's parameter of that name; None makes it required.
        trains: whether to pretrain; a study that pretrains nothing may be run without that loop.
        points_at_once: how many pretraining points run at once, where these take more of a machine than searches do.
        run: name of the run of the study; by default Kubeflow's id of it.
    """

    def compose(study: str, store: str = store) -> str:
        """Discover architectures: a study from search to report.

        Args:
            study: The study as JSON, which `aira compile` fills in from a YAML file, or the text that stands for it.
            store: Where records and checkpoints are kept: a folder, file:// or s3://bucket/prefix.

        Returns:
            URI of the report's record.
        """
        flow = _Flow({"study": study, "store": store}, run, parallelism, points_at_once or parallelism)
        return flow.report(trains)  # type: ignore[no-any-return]

    if study is not None:
        compose.__defaults__ = (study, store)
    pipeline: Callable[..., Any] = dsl.pipeline(name="aira-compose", description="Discover architectures.")(compose)
    return pipeline


class _Flow:
    """The tasks of the pipeline; `left` is what each stage leaves: a URI, or the text that stands for a list of them.

    All are `given` the study and the store, and the name of the run.
    """

    def __init__(self, given: dict[str, Any], run: str, searches_at_once: int, points_at_once: int) -> None:
        self._given, self._run = given, run
        self._at_once = {"search": searches_at_once, "point": points_at_once}
        self.left: dict[str, Any] = {}
        self.tasks: dict[str, Any] = {}

    def report(self, trains: bool) -> Any:
        """Add all stages; the report's URI."""
        order = stages_in_order()
        for stage in order:
            if stage.name in self.left:
                continue
            alike = [each for each in order if each.per == stage.per]
            match stage.per:
                case "study":
                    self.left[stage.name] = self._task(stage, self._read(stage)).outputs["Output"]
                case "search":
                    self._loop(alike, _ready(list_searches(**self._given)).output, "unit")
                case "point" if trains:
                    points = _ready(list_points(**self._given, designs=self.left[POINTS])).output
                    # A point names its record of designs: kfp.local gives every outside output in a loop its item.
                    self._loop(alike, points, "point")
                case "point":
                    self.left |= {each.name: "" for each in alike}
        return self.left[REPORT]

    def _loop(self, stages: Sequence[Stage], items: Any, parameter: str) -> None:
        """Tasks of stages that have one for each item, each after those in the loop that it reads."""
        made: dict[str, Any] = {}
        with dsl.ParallelFor(items, parallelism=self._at_once[stages[0].per]) as item:
            for stage in stages:
                reads = {other.leaves: made[other.name] for other in stages_read(stage) if other.name in made}
                made[stage.name] = self._task(stage, {parameter: item, **reads}).outputs["Output"]
        collected = self._collected(stages)
        self.left |= {stage.name: collected for stage in stages}

    def _task(self, stage: Stage, arguments: dict[str, Any]) -> Any:
        component = _component(stage)
        if RUN not in component.component_spec.inputs:
            raise ValueError(f"{stage.component}: a component hands its parameter {RUN!r} on to run_text; give it one")
        task = self.tasks[stage.name] = _ready(component(**self._given, **arguments, run=self._run))
        return task

    def _collected(self, stages: Sequence[Stage]) -> Any:
        """The text that stands for the list of what stages have left."""
        task = _ready(collect(**self._given, run=self._run, stages=[stage.name for stage in stages]))
        return task.after(*(self.tasks[stage.name] for stage in stages)).output

    def _read(self, stage: Stage) -> dict[str, Any]:
        """The arguments of a stage's component: what the stages that it reads left, by the names of that."""
        takes = _component(stage).component_spec.inputs
        known: dict[str, Any] = {}
        further = list[Stage]()
        for other in stages_read(stage):
            named = [name for name in (other.leaves, LISTS.get(other.per, "")) if name in takes]
            known |= dict.fromkeys(named, self.left[other.name])
            if not named:
                further.append(other)
        if FURTHER in takes:
            known[FURTHER] = self._collected(further) if further else ""
        return known


def _ready(task: Any) -> Any:
    """A task that always asks the store itself, and has the plugins with which the pipeline was compiled."""
    if plugins := os.environ.get(PLUGINS_VARIABLE):
        task.set_env_variable(PLUGINS_VARIABLE, plugins)
    return task.set_caching_options(False)


def _component(stage: Stage) -> Any:
    module, _, name = stage.component.partition(":")
    return getattr(import_module(module), name)
