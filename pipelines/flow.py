"""The tasks of a study in one pipeline, built from the rows of the stages: search -> archive -> aggregate -> ...

It is the same for every study: the study travels as one text (Kubeflow turns numbers inside dicts and lists into
floats), and the lists it loops over are made by tasks. What a loop has left is looked up in the store by a task after
it, and travels as one text, too: a list of all records would be longer than an argument may be.
Stages of somebody's own are in it as well (see `aira_lib.flow.stage`).
"""

from collections.abc import Sequence
from typing import Any

from kfp import dsl

from aira_lib.flow.stage import POINTS, Stage, stages_in_order, stages_of, stages_read
from aira_lib.study import Study
from components.begin import begin
from components.plan import collect, list_points, list_searches
from pipelines.stages import component_of, with_plugins

LISTS = {"search": "searches", "point": "points"}
"""The parameters of a component for lists of records: of all searches, of all pretraining points."""

REPORT = "report"
PLAN = "plan"
"""Label of tasks that list what there is."""

FURTHER = "further"
"""The report's parameter for records of stages that it does not know by themselves."""


class Flow:
    """The tasks of a pipeline; `left` is what each stage leaves: a URI, or the text that stands for a list of them.

    Here the units of a loop are tasks of the pipeline itself.

    Args:
        given: Arguments that all tasks have: the study and the store.
        run: Name of the run of the study.
        searches_at_once: How many run at once.
        points_at_once: The same of pretraining points.
        of: The study whose tasks alone are added; None: those of any.
    """

    def __init__(
        self, given: dict[str, Any], run: str, searches_at_once: int, points_at_once: int, of: Study | None = None
    ) -> None:
        self.given, self.run, self._of = given, run, of
        self._at_once = {"search": searches_at_once, "point": points_at_once}
        self.left: dict[str, Any] = {}
        self.tasks: dict[str, Any] = {}

    def begin(self, preset: Any, study: Any, overrides: Any, confirm: Any) -> None:
        """Add the task that finds the study which is meant: from then on all tasks are given that."""
        task = begin(preset=preset, study=study, overrides=overrides, store=self.given["store"], confirm=confirm)
        self.given = {**self.given, "study": self.ready(task, "begin").outputs["Output"]}

    def up_to(self, last: str) -> Any:
        """Add all stages up to one; the task of that."""
        order = stages_of(self._of) if self._of else stages_in_order()
        for stage in order:
            if stage.name not in self.left:
                alike = [each for each in order if each.per == stage.per]
                match stage.per:
                    case "study":
                        self.left[stage.name] = self._task(stage, self._read(stage)).outputs["Output"]
                    case "search":
                        self.searches(alike)
                    case "point":
                        self.points(alike)
            if stage.name == last:
                break
        return self.tasks[last]

    def ready(self, task: Any, stage: str) -> Any:
        """The task of a stage (or of what lies between), which asks the store itself rather than Kubeflow's cache."""
        return with_plugins(task).set_caching_options(False)

    def searches(self, stages: Sequence[Stage]) -> None:
        """Add the loop over searches."""
        names = self.ready(list_searches(**self.given), PLAN).output
        self._loop(stages, names, "unit")

    def points(self, stages: Sequence[Stage]) -> None:
        """Add the loop over pretraining points."""
        if self._of and not self._of.trainable_scales():
            self.left |= {each.name: "" for each in stages}
            return
        points = self.ready(list_points(**self.given, designs=self.left[POINTS]), PLAN).output
        # A point names its record of designs: kfp.local gives every outside output in a loop its item.
        self._loop(stages, points, "point")

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
        task = component_of(stage)(**self.given, **arguments, run=self.run)
        self.tasks[stage.name] = self.ready(task, stage.name)
        return task

    def _collected(self, stages: Sequence[Stage]) -> Any:
        """The text that stands for the list of what stages have left."""
        task = self.ready(collect(**self.given, run=self.run, stages=[stage.name for stage in stages]), PLAN)
        return task.after(*(self.tasks[stage.name] for stage in stages)).output

    def _read(self, stage: Stage) -> dict[str, Any]:
        """The arguments of a stage's component: what the stages that it reads left, by the names of that."""
        takes = component_of(stage).component_spec.inputs
        known: dict[str, Any] = {}
        further = list[Stage]()
        for other in stages_read(stage):
            named = [name for name in (other.leaves, LISTS.get(other.per, "")) if name in takes]
            if other.name in self.left:
                known |= dict.fromkeys(named, self.left[other.name])
            else:  # nobody asked for it
                known |= {name: "" for name in named if not takes[name].optional and name not in known}
            if not named and other.name in self.left:
                further.append(other)
        if FURTHER in takes:
            known[FURTHER] = self._collected(further) if further else ""
        return known
