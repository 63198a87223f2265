"""Start a command behind the bootstrap, the one way in which anything of a candidate is started."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Isolation = Literal["namespaces", "user namespaces", "none"]

_BOOTSTRAP = Path(__file__).with_name("bootstrap.py")


@dataclass(frozen=True)
class Launched:
    """A bootstrap process; `report` is the read end of the pipe on which it tells how the command ended."""

    process: "subprocess.Popen[bytes]"
    report: int


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


def launch(command: Sequence[str], workdir: Path, isolation: Isolation, limits: Mapping[str, int]) -> Launched:
    """Start `command` in `workdir` with rlimits by their names in `resource`; stdout and stderr are pipes.

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
    try:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-B", str(_BOOTSTRAP), json.dumps(plan)],
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
