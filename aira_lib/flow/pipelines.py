"""The pipelines that can be started here: each a package that runs and compiles itself, found by its entry point.

The library imports neither kfp nor a pipeline: an installed package offers one by an entry point of the group
`aira.pipelines`, whose value is the module that `python -m` starts.
"""

import sys
from importlib.metadata import entry_points

from aira_lib.errors import MissingDependency

GROUP = "aira.pipelines"
COMPOSE = "compose"
UNITS = "units"
BESIDE = ("search", "scale", "smoke", UNITS)
"""Pipelines in the package of compose."""


def pipeline_command(name: str = COMPOSE) -> list[str]:
    """The beginning of the command that starts a pipeline: ``run`` or ``compile`` and its options follow.

    Raises:
        MissingDependency: no installed package offers it.
    """
    return [sys.executable, "-m", pipeline_module(name)]


def pipeline_module(name: str = COMPOSE) -> str:
    """The module that a pipeline is; those that come with AIRA lie beside compose.

    Raises:
        MissingDependency: no installed package offers it.
    """
    offered = {point.name: point.value for point in entry_points(group=GROUP)}
    if name in offered:
        return offered[name]
    if name not in BESIDE or COMPOSE not in offered:
        raise MissingDependency(f"the pipeline {name!r}", "kfp")
    return f"{offered[COMPOSE].rpartition('.')[0]}.{name}"
