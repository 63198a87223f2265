"""Pipelines of a cluster: what a researcher starts from Kubeflow's form, and which tasks that has.

Names of parameters speak for themselves, since the form shows no descriptions. A pipeline is compiled for one study,
which it then holds, or for any: the form then offers the studies that come with AIRA, the smallest first.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kfp import dsl

from aira_lib.cluster.pod import Pod
from aira_lib.cluster.presets import pod_of, waiting_pod
from aira_lib.cluster.section import Cluster
from aira_lib.flow.stage import POINTS, STAGES, Stage
from aira_lib.remote.begin import OWN
from aira_lib.remote.shipped import PRESETS, shipped_study
from aira_lib.study import Study, canonical_json
from aira_lib.study.reading import parse_study
from aira_lib.tasks.section import family_of
from components.fan_out import fan_out
from components.task import fitted
from pipelines.flow import PLAN, REPORT, Flow
from pipelines.stages import with_plugins

LOGIN = {"access-ml-pipeline": "true"}
"""Label of pods that ask Kubeflow's API: where it wants a login, a PodDefault of this name gives them the token."""

NOTHING: dict[str, Any] = {}
"""Overrides of a form that nobody has changed."""

ANY = "any"
"""The label aira/study of pods of a pipeline that is compiled for any study."""


@dataclass(frozen=True)
class Form:
    """One pipeline that researchers start.

    Attributes:
        name: Of the pipeline for any study.
        of_study: What the name of one that holds a study begins with.
        description: Of the pipeline.
        last: The stage that it ends with.
        searches: Whether it starts searches; else they must be there.
    """

    name: str
    of_study: str
    description: str
    last: str = REPORT
    searches: bool = True

    def named(self, study: Study | None) -> str:
        """The name of the pipeline of a study; None: of any."""
        return f"{self.of_study}-{study.name}" if study else self.name


COMPOSE = Form("aira-compose", "aira", "Discover architectures: a study from search to report.")
SEARCH = Form(
    "aira-search",
    "aira-search",
    "Let agents search for architectures; archive and aggregate what they find.",
    last="aggregate",
)
SCALE = Form(
    "aira-scale", "aira-scale", "Scale up, pretrain and compare what the searches of a study found.", searches=False
)


class PodFlow(Flow):
    """The tasks of a pipeline on a cluster: each has a pod that it can run in.

    Args:
        study: That the pipeline holds; None: any.
        cluster: Whose pods.
        given: Arguments that all tasks have.
        at_once: How many units of a loop are worked on at once.
    """

    def __init__(self, study: Study | None, cluster: Cluster, given: dict[str, Any], at_once: int) -> None:
        of = study if study and not family_of(study.task).has_designs else None
        super().__init__(given, dsl.PIPELINE_JOB_ID_PLACEHOLDER, at_once, at_once, of)
        self._study, self._cluster = study, cluster
        self._sizes = study or parse_study(shipped_study(PRESETS[0]), PRESETS[0])

    def ready(self, task: Any, stage: str) -> Any:
        """The task, with its pod."""
        labels = {"aira/study": self._study.name if self._study else ANY, "aira/stage": stage}
        asks = stage not in STAGES and stage != PLAN  # lists are made of the store alone
        return fitted(with_plugins(task), self._pod(stage), {**labels, **LOGIN} if asks else labels)

    def _pod(self, stage: str) -> Pod:
        return pod_of(stage, self._sizes, self._cluster) if stage in STAGES else waiting_pod(self._cluster)


class ClusterFlow(PodFlow):
    """The tasks of a small pipeline: the units of its loops are made by runs of their own."""

    def __init__(self, form: Form, study: Study | None, cluster: Cluster, given: dict[str, Any], at_once: Any) -> None:
        super().__init__(study, cluster, given, 0)
        self._form, self._units_at_once = form, at_once

    def searches(self, stages: Sequence[Stage]) -> None:
        """Add the task that has searches made."""
        self._fan_out("searches", stages, "", self._form.searches)

    def points(self, stages: Sequence[Stage]) -> None:
        """Add the task that has pretraining points made."""
        self._fan_out("points", stages, self.left[POINTS], True)

    def _fan_out(self, loop: str, stages: Sequence[Stage], designs: Any, start: bool) -> None:
        task = fan_out(
            loop=loop, **self.given, run=self.run, designs=designs, at_once=self._units_at_once, start=start
        ).set_display_name(loop)
        self.ready(task, loop)
        self.left |= {stage.name: task.output for stage in stages}
        self.tasks |= {stage.name: task for stage in stages}


def cluster_pipeline(form: Form, cluster: Cluster, study: Study | None, at_once: int) -> Any:
    """Build a pipeline for a cluster; equal arguments give equal pipelines.

    Args:
        form: which.
        cluster: for which.
        study: that it holds; None: one is chosen in the form.
        at_once: default for how many units are worked on at once.
    """
    if study is not None:
        return _of_study(form, cluster, study, at_once)
    return _of_any(form, cluster, at_once)


def _of_study(form: Form, cluster: Cluster, study: Study, at_once: int) -> Any:
    text = canonical_json(study)

    def compose(
        store: str = cluster.store,
        overrides: dict[str, Any] = NOTHING,
        confirm: str = "",
        units_at_once: int = at_once,
    ) -> str:
        """Run the study that this pipeline was compiled for.

        Args:
            store: Where records and checkpoints are kept: s3://bucket/prefix.
            overrides: Other values of single settings, by dotted keys.
            confirm: What an earlier start asked to enter, where the study is expensive.
            units_at_once: How many searches or pretraining points are worked on at once.

        Returns:
            URI of the last record.
        """
        flow = ClusterFlow(form, study, cluster, {"store": store}, units_at_once)
        flow.begin(OWN, text, overrides, confirm)
        return flow.up_to(form.last).outputs["Output"]  # type: ignore[no-any-return]

    return dsl.pipeline(name=form.named(study), description=study.description or form.description)(compose)


def _of_any(form: Form, cluster: Cluster, at_once: int) -> Any:
    def compose(
        preset: str = PRESETS[0], study: str = "", overrides: dict[str, Any] = NOTHING, store: str = cluster.store,
        confirm: str = "", units_at_once: int = at_once,
    ) -> str:  # fmt: skip
        """Run a study.

        Args:
            preset: A study that comes with AIRA, or own-study.
            study: Of own-study: YAML, JSON, the URI of such a file, or URI#SHA-256.
            overrides: Other values of single settings, by dotted keys.
            store: Where records and checkpoints are kept: s3://bucket/prefix.
            confirm: What an earlier start asked to enter, where the study is expensive.
            units_at_once: How many searches or pretraining points are worked on at once.

        Returns:
            URI of the last record.
        """
        flow = ClusterFlow(form, None, cluster, {"store": store}, units_at_once)
        flow.begin(preset, study, overrides, confirm)
        return flow.up_to(form.last).outputs["Output"]  # type: ignore[no-any-return]

    pipeline = dsl.pipeline(name=form.name, description=form.description)(compose)
    return _with_menu(pipeline, "preset", [*PRESETS, OWN])


def _with_menu(pipeline: Any, parameter: str, values: Sequence[str]) -> Any:
    """The pipeline, whose form has a menu for a parameter: Kubeflow 2.17 shows `literals` so, which its SDK lacks."""
    spec = pipeline.pipeline_spec.root.input_definitions.parameters[parameter]
    for value in values:
        spec.literals.add().string_value = value
    return pipeline
