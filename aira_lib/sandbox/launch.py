"""Start a command behind the bootstrap, the one way in which anything of a candidate is started."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from aira_lib.sandbox.bubblewrap import wrapper
from aira_lib.sandbox.view import DEVICES, LINKS, SHARED_MEMORY_MB, View, view_of

Isolation = Literal[
    "bubblewrap", "namespaces", "user namespaces", "namespaces, open files", "user namespaces, open files", "none"
]

_BOOTSTRAP = Path(__file__).with_name("bootstrap.py")
_PYTHON = (sys.executable, "-I", "-S", "-B")


@dataclass(frozen=True)
class Launched:
    """A bootstrap process; `report` is the read end of the pipe on which it tells how the command ended."""

    process: "subprocess.Popen[bytes]"
    report: int


def closes_files(isolation: Isolation) -> bool:
    """Whether candidates see a minimal root in the place of the machine's file system."""
    return isolation in ("bubblewrap", "namespaces", "user namespaces")


def environment(workdir: Path) -> dict[str, str]:
    """All that a candidate sees of the environment. One thread a library: a candidate is not to crowd others out."""
    return {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": str(workdir),
        "TMPDIR": str(workdir),
        "LANG": "C.UTF-8",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
    }


def launch(
    command: Sequence[str],
    workdir: Path,
    isolation: Isolation,
    limits: Mapping[str, int],
    data: Mapping[str, Path] | None = None,
) -> Launched:
    """Start `command` in `workdir` with rlimits by their names in `resource`; stdout and stderr are pipes.

    Where `closes_files(isolation)`, the `data` are shown at their names in the work directory, on which mount points
    (empty files and folders) must lie. Elsewhere they are ignored.

    The caller must end it with `kill_family(launched.process.pid)`: it never ends by itself.
    """
    read_end, write_end = os.pipe()
    plan = {
        "command": list(command),
        "environment": environment(workdir),
        "workdir": str(workdir),
        "limits": dict(limits),
        "isolation": isolation,
        "parent": os.getpid(),
        "report": write_end,
    }
    if closes_files(isolation):
        plan |= _with_view(view_of(workdir, data or {}), plan)
    try:
        process = subprocess.Popen(
            [*_PYTHON, str(_BOOTSTRAP), json.dumps(plan)],
            cwd=workdir,
            env=environment(workdir),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            pass_fds=(write_end,),
        )
    except BaseException:
        os.close(read_end)
        raise
    finally:
        os.close(write_end)
    return Launched(process, read_end)


def _with_view(view: View, plan: Mapping[str, Any]) -> dict[str, Any]:
    """What the bootstrap must know of the view: how to build it, or the command line by which bubblewrap does."""
    if plan["isolation"] == "bubblewrap":
        within = json.dumps({**plan, "isolation": "within bubblewrap"})
        return {"wrapper": [*wrapper(view), *_PYTHON, "-c", _BOOTSTRAP.read_text(encoding="utf-8"), within]}
    return {"view": {**asdict(view), "devices": DEVICES, "links": LINKS, "shared_memory_mb": SHARED_MEMORY_MB}}
