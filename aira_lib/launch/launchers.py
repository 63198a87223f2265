"""What starts jobs, by name. A launcher of your own is added to `LAUNCHERS` by a module that AIRA_PLUGINS names."""

from collections.abc import Callable

from aira_lib.launch.launcher import Launcher
from aira_lib.registry import Registry

LAUNCHERS: Registry[Callable[[], Launcher]] = Registry("launcher")
"""Each makes its launcher from the environment."""

LOCAL = "local"


def _local() -> Launcher:
    from aira_lib.launch.local import LocalLauncher
    from aira_lib.settings import scratch_folder

    return LocalLauncher(scratch_folder() / "jobs")


LAUNCHERS.add(LOCAL, _local)
