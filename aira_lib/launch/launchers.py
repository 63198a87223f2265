"""What starts jobs, by name. A launcher of your own is added to `LAUNCHERS` by a module that AIRA_PLUGINS names."""

from collections.abc import Callable

from aira_lib.launch.launcher import Launcher
from aira_lib.registry import Registry

LAUNCHERS: Registry[Callable[[], Launcher]] = Registry("launcher")
"""Each makes its launcher from the environment."""

LOCAL, KUBERNETES = "local", "kubernetes"


def _local() -> Launcher:
    from aira_lib.launch.local import LocalLauncher
    from aira_lib.settings import scratch_folder

    return LocalLauncher(scratch_folder() / "jobs")


LAUNCHERS.add(LOCAL, _local)


def _kubernetes() -> Launcher:
    from aira_lib.cluster.api import connect
    from aira_lib.cluster.reading import cluster_here
    from aira_lib.cluster.section import VARIABLE
    from aira_lib.errors import UserError
    from aira_lib.launch.trainjob import TrainJobLauncher

    cluster = cluster_here()
    if cluster is None:
        raise UserError(f"no cluster: let {VARIABLE} name the file that says what it is (docs/install.md)")
    return TrainJobLauncher(cluster, connect)


LAUNCHERS.add(KUBERNETES, _kubernetes)


def launcher_of_nodes() -> Launcher:
    """What starts a job of several nodes here: the cluster's, or, outside of one, this machine's, which refuses it.

    Raises:
        UserError: the cluster has no such jobs.
    """
    from aira_lib.cluster.reading import cluster_here

    return LAUNCHERS.named(KUBERNETES if cluster_here() else LOCAL)()
