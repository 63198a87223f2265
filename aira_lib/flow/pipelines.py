"""The pipelines that can be started here: each a package that runs and compiles itself, found by its entry point.

The library imports neither kfp nor a pipeline: an installed package offers one by an entry point of the group
`aira.pipelines`, whose value is the module that `python -m` starts.
"""

import sys
from importlib.metadata import entry_points

from aira_lib.errors import MissingDependency

GROUP = "aira.pipelines"
COMPOSE = "compose"


def pipeline_command(name: str = COMPOSE) -> list[str]:
    """The beginning of the command that starts a pipeline: ``run`` or ``compile`` and its options follow.

    Raises:
        MissingDependency: no installed package offers it.
    """
    found = [point.value for point in entry_points(group=GROUP, name=name)]
    if not found:
        raise MissingDependency(f"the pipeline {name!r}", "kfp")
    return [sys.executable, "-m", found[0]]
