"""What pipelines make of the rows of the stages: tasks of their components."""

import os
from importlib import import_module
from typing import Any

from aira_lib.flow.stage import Stage
from aira_lib.registry import PLUGINS_VARIABLE

RUN = "run"
"""The parameter for the name of the run of the study, under which is kept what became of its units."""


def component_of(stage: Stage) -> Any:
    """The Kubeflow component of a stage.

    Raises:
        ValueError: it has no parameter for the name of the run.
    """
    module, _, name = stage.component.partition(":")
    component = getattr(import_module(module), name)
    if RUN not in component.component_spec.inputs:
        raise ValueError(f"{stage.component}: a component hands its parameter {RUN!r} on to run_text; give it one")
    return component


def with_plugins(task: Any) -> Any:
    """The task, with the plugins with which the pipeline is compiled: a pod has no environment of whoever does that."""
    if plugins := os.environ.get(PLUGINS_VARIABLE):
        task.set_env_variable(PLUGINS_VARIABLE, plugins)
    return task
