"""What pipelines make of the rows of the stages: components, and what these take of what others left."""

import os
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from aira_lib.flow.stage import Stage, stages_read
from aira_lib.registry import PLUGINS_VARIABLE

FURTHER = "further"
"""The report's parameter for records of stages that it does not know by themselves."""


def component_of(stage: Stage) -> Any:
    """The Kubeflow component of a stage."""
    module, _, name = stage.component.partition(":")
    return getattr(import_module(module), name)


def read_by(stage: Stage, left: Mapping[str, Callable[[], Any]]) -> dict[str, Any]:
    """The arguments of a stage's component: what the stages that it reads left, by the names of that.

    Args:
        stage: whose.
        left: by stage, what makes what it left. It is made anew for each reader: kfp changes a list that it collects.
    """
    takes = component_of(stage).component_spec.inputs
    reads = [other for other in stages_read(stage) if other.name in left]
    return {other.leaves: left[other.name]() for other in reads if other.leaves in takes}


def with_plugins(task: Any) -> Any:
    """The task, with the plugins with which the pipeline is compiled: a pod has no environment of whoever does that."""
    if plugins := os.environ.get(PLUGINS_VARIABLE):
        task.set_env_variable(PLUGINS_VARIABLE, plugins)
    return task


def labels_of(study: str, stage: str) -> dict[str, str]:
    """Of a task's pod: quotas and costs are told apart by them."""
    return {"aira/study": study, "aira/stage": stage}
