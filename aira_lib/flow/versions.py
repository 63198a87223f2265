"""Versions of what computes the results, for manifests, tracking and the report."""

import platform
import subprocess
from functools import cache
from importlib.metadata import version
from pathlib import Path

import aira_lib
from aira_lib.cluster.image import image_here
from aira_lib.device import cores


@cache
def code_version() -> str:
    """Version of AIRA, with the commit where the code is a checkout or an image says it."""
    root = Path(aira_lib.__file__).parent.parent
    if not (root / ".git").exists():
        image = image_here()
        return f"{aira_lib.__version__}+{image.revision}" if image and image.revision else aira_lib.__version__
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return aira_lib.__version__
    return f"{aira_lib.__version__}+{done.stdout.strip()}"


@cache
def versions() -> dict[str, str]:
    """Versions of what computes the results, for manifests and the report."""
    return {
        "aira": code_version(),
        "python": platform.python_version(),
        "torch": version("torch"),
        "numpy": version("numpy"),
        "machine": f"{platform.machine()}, {cores()} cores",
    }
