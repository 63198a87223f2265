"""Start a command behind the bootstrap, the one way in which anything of a candidate is started."""

import functools
import marshal
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Literal

from aira_lib.sandbox.bubblewrap import wrapper
from aira_lib.sandbox.calls import call_filter
from aira_lib.sandbox.gpu import Gpu, merged
from aira_lib.sandbox.view import NO_GPU, SHARED_MEMORY_MB, package_folders, view_of

Isolation = Literal[
    "pod", "bubblewrap", "namespaces", "user namespaces", "namespaces, open files", "user namespaces, open files",
    "none",
]  # fmt: skip
"""Of a candidate; in a pod of its own it is another of these besides."""

_BOOTSTRAP = Path(__file__).with_name("bootstrap.py")
_PYTHON = (sys.executable, "-I", "-S", "-B")
_RUN = "import marshal, sys; exec(marshal.loads(bytes.fromhex(sys.argv[1])))"


@dataclass(frozen=True)
class Launched:
    """A bootstrap process.

    Attributes:
        process: Itself, or bubblewrap before it.
        report: The read end of the pipe on which it tells how the command ended.
        wrapped: Whether bubblewrap comes before it. What that starts dies with it only from when it first reports.
    """

    process: "subprocess.Popen[bytes]"
    report: int
    wrapped: bool = False

    @property
    def outputs(self) -> tuple[IO[bytes], IO[bytes]]:
        """The read ends of stdout and stderr."""
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        return self.process.stdout, self.process.stderr

    @property
    def descriptors(self) -> tuple[int, int, int]:
        """Of stdout, stderr and the report."""
        stdout, stderr = self.outputs
        return stdout.fileno(), stderr.fileno(), self.report


def closes_files(isolation: Isolation) -> bool:
    """Whether candidates see a minimal root, or the image of a pod, in the place of the machine's file system."""
    return isolation in ("pod", "bubblewrap", "namespaces", "user namespaces")


def environment(workdir: Path) -> dict[str, str]:
    """All that a candidate sees of the environment. One thread a library: a candidate is not to crowd others out."""
    packages = package_folders()
    return {
        **({"PYTHONPATH": os.pathsep.join(packages)} if packages else {}),
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
    gpu: Gpu = NO_GPU,
    hides: Sequence[str] = (),
    told_to_go: bool = False,
) -> Launched:
    """Start `command` in `workdir` with rlimits by their names in `resource`; stdout and stderr are pipes.

    Where `closes_files(isolation)`, the `data` are shown at their names in the work directory, on which mount points
    (empty files and folders) must lie, and packages that it `hides` are not. Elsewhere both are ignored. Its standard
    input is empty, or a pipe, by which it can be `told_to_go` on.

    The caller must end it with `kill_family(launched.process.pid)`: it never ends by itself.
    """
    read_end, write_end = os.pipe()
    plan: dict[str, object] = {
        "command": list(command),
        "environment": merged(environment(workdir), gpu),
        "workdir": str(workdir),
        "limits": dict(limits),
        "isolation": isolation,
        "filter": call_filter(bool(gpu.devices)),
        "parent": os.getpid(),
        "report": write_end,
    }
    wrapped: list[str] = []
    if closes_files(isolation):
        view = view_of(workdir, data or {}, gpu, hides)
        if isolation == "bubblewrap":
            wrapped = wrapper(view)
        else:
            plan["view"] = {**asdict(view), "shared_memory_mb": SHARED_MEMORY_MB}
    try:
        process = subprocess.Popen(
            [*wrapped, *_PYTHON, "-c", _RUN, _compiled(_BOOTSTRAP), marshal.dumps(plan).hex()],
            cwd=workdir,
            env=environment(workdir),
            stdin=subprocess.PIPE if told_to_go else subprocess.DEVNULL,
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
    return Launched(process, read_end, bool(wrapped))


@functools.cache
def _compiled(program: Path) -> str:
    """A program's code, once a process: compiling it takes as long as starting Python."""
    code = compile(program.read_text(encoding="utf-8"), program.name, "exec", dont_inherit=True, optimize=2)
    return marshal.dumps(code).hex()
