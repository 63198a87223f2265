"""How strongly this machine lets us isolate a candidate: found out once, by trying."""

import functools
import json
import os
import sys
import tempfile
import warnings
from pathlib import Path

from aira_lib.sandbox.family import kill_family
from aira_lib.sandbox.launch import Isolation, launch


@functools.cache
def isolation() -> Isolation:
    """Return the strongest isolation that works here, warning loudly (once) when there is none.

    - "namespaces": a privileged user's own namespaces for network, processes, mounts and IPC;
    - "user namespaces": the same without privilege;
    - "none": only limits and a clean environment.
    """
    ladder: tuple[Isolation, ...] = ("namespaces", "user namespaces") if os.geteuid() == 0 else ("user namespaces",)
    if sys.platform == "linux":
        for strength in ladder:
            if _works(strength):
                return strength
    warnings.warn(
        "AGENT CODE IS NOT ISOLATED on this machine: namespaces are refused, so candidates can reach the network and "
        "see other processes and their environment (keys); only time, memory, disk and output limits hold. "
        "Run trusted agents only.",
        RuntimeWarning,
        stacklevel=2,
    )
    return "none"


def _works(strength: Isolation) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        launched = launch([sys.executable, "-I", "-S", "-c", ""], Path(folder), strength, {})
        try:
            with open(launched.report, "rb") as report:
                return bool(json.loads(report.readline() or "{}").get("exit") == 0)
        finally:
            kill_family(launched.process.pid)
            launched.process.communicate()
