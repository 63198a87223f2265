"""What this process computes on: the device, the kernels, the cores. Asked in one place, so that all stages agree.

Kinds of device and kernels are part of the keys of records (see `aira_lib.identity`): a GPU, or fused kernels in bf16,
give other last digits, and a training that amplifies them another score.
"""

import os
import platform
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from importlib.util import find_spec
from itertools import takewhile
from pathlib import Path
from pkgutil import resolve_name
from typing import Literal, NamedTuple

from aira_lib.errors import UserError
from aira_lib.foreign import in_a_line

DEVICE_VARIABLE = "AIRA_DEVICE"
KERNELS_VARIABLE = "AIRA_KERNELS"
GPUS_VARIABLE = "AIRA_GPUS"
DeviceKind = Literal["cpu", "cuda"]
Kernels = Literal["torch", "fused", "fla", "mamba-ssm"]
"""Of layers: PyTorch's own; the fused CPU kernels; on CUDA the scan of fla-core, or of mamba-ssm."""
Precision = Literal["bf16", "fp32"]
"""Of matrix products; weights and sums are fp32."""

_QUOTA = Path("/sys/fs/cgroup/cpu.max")
_CPU_INFO = Path("/proc/cpuinfo")


def device() -> str:
    """The device to compute on, as PyTorch names it: AIRA_DEVICE, else "cuda" where there is one, else "cpu".

    Raises:
        UserError: AIRA_DEVICE names no device that is known.
    """
    named = os.environ.get(DEVICE_VARIABLE)
    if not named:
        return "cuda" if has_cuda() else "cpu"
    if not re.fullmatch(r"cpu|cuda(:\d+)?", named):
        raise UserError(f"{DEVICE_VARIABLE}={named!r}: no such device; valid: cpu, cuda, cuda:N")
    return named


def ready_device() -> str:
    """`device`, for a stage that is about to compute on it; asked before any work. It imports PyTorch where it is CUDA.

    Raises:
        UserError: AIRA_DEVICE names no device that is known, or one that is not here.
    """
    named = device()
    if named == "cpu":
        return named
    import torch

    here = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if int(named.partition(":")[2] or 0) >= here:
        there_is = ", ".join(f"cuda:{index}" for index in range(here)) or "no CUDA device"
        raise UserError(f"{DEVICE_VARIABLE}={named}: PyTorch finds {there_is} here; unset it, or choose another device")
    return named


def device_kind() -> DeviceKind:
    """The kind of `device`."""
    if assumed := _assumed.get():
        return assumed[0]
    return "cpu" if device() == "cpu" else "cuda"


def plain_kernels() -> bool:
    """Whether AIRA_KERNELS asks for PyTorch's own kernels."""
    return os.environ.get(KERNELS_VARIABLE) == "plain"


def kernels(kind: DeviceKind) -> Kernels:
    """Which kernels compute the slow parts of models on a kind of device; AIRA_KERNELS=plain asks for PyTorch's own."""
    if assumed := _assumed.get():
        return assumed[1]
    if plain_kernels():
        return "torch"
    if kind == "cpu":
        return "fused" if find_spec("numba") else "torch"
    return next((name for name, target in CUDA_SCANS.items() if import_problem(target) is None), "torch")


CUDA_SCANS: dict[Literal["fla", "mamba-ssm"], str] = {
    "fla": "fla.ops.simple_gla:chunk_simple_gla",
    "mamba-ssm": "mamba_ssm.ops.triton.ssd_combined:mamba_chunk_scan_combined",
}
"""What computes the scan of Mamba-2 on CUDA, the preferred first: the function that is imported for it."""


CUDA_KERNELS: tuple[Kernels, ...] = (*CUDA_SCANS, "torch")
"""Those that there may be on CUDA."""

_assumed: ContextVar[tuple[DeviceKind, Kernels] | None] = ContextVar("assumed", default=None)


@contextmanager
def assuming(kind: DeviceKind, with_kernels: Kernels) -> Iterator[None]:
    """Within, `device_kind` and `kernels` answer as another machine does, for keys of what that has made.

    Nothing may be computed within.
    """
    before = _assumed.set((kind, with_kernels))
    try:
        yield
    finally:
        _assumed.reset(before)


class ImportProblem(NamedTuple):
    """Why something cannot be imported.

    Attributes:
        missing: whether its package is simply not installed.
        words: the reason, on a line.
    """

    missing: bool
    words: str


@cache
def import_problem(target: str) -> ImportProblem | None:
    """Try the import of ``package.module:function``; None where it works.

    That a package is found says little: compiled parts are absent, or made for another PyTorch or driver, and say so
    with errors of all kinds when they are imported.
    """
    try:
        resolve_name(target)
    except Exception as error:
        package = target.partition(".")[0]
        if isinstance(error, ModuleNotFoundError) and error.name == package:
            return ImportProblem(True, "not installed")
        return ImportProblem(False, in_a_line(f"{type(error).__name__}: {error}", 200))
    return None


def device_name() -> str:
    """The model of what computes, as its maker calls it; empty where nothing says it, and of a machine that is assumed.

    PyTorch is imported where it is CUDA.
    """
    if _assumed.get():
        return ""
    if (place := device()) != "cpu":
        import torch

        return torch.cuda.get_device_name(place) if torch.cuda.is_available() else ""
    try:
        said = re.search(r"^model name\s*:\s*(.+)$", _CPU_INFO.read_text(), re.MULTILINE)
    except OSError:
        said = None
    return in_a_line(said[1], 200) if said else platform.machine()


def cores() -> int:
    """Cores that this process may use: those it is bound to, and no more than its container's share of time."""
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(bound, _quota() or bound))


def load() -> float | None:
    """Processes that wanted to compute in the last minute, for each core of the machine; None where nobody tells."""
    try:
        return os.getloadavg()[0] / (os.cpu_count() or 1)
    except OSError:
        return None


def _quota() -> int | None:
    """Whole cores that the control group of a container grants, at least one; None: no limit."""
    try:
        time, period = _QUOTA.read_text().split()
    except (OSError, ValueError):
        return None
    return None if time == "max" else max(1, int(time) // int(period))


def gpus() -> tuple[str, ...]:
    """GPUs that this process may use, each as CUDA_VISIBLE_DEVICES names it. PyTorch is not imported."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return tuple(takewhile(lambda name: name not in ("", "-1"), map(str.strip, named.split(","))))
    return tuple(str(number) for number in range(len([*Path("/dev").glob("nvidia[0-9]*")])))


def check_promised_gpus() -> None:
    """Refuse to work where fewer GPUs are to be seen than were promised (AIRA_GPUS): a stage would run on the CPU.

    PyTorch is imported where any were.

    Raises:
        UserError: the variable is no number, or there are fewer.
    """
    said = os.environ.get(GPUS_VARIABLE, "")
    if not re.fullmatch(r"[0-9]{0,4}", said):
        raise UserError(f"{GPUS_VARIABLE}={said!r}: GPUs that a stage was given are a whole number")
    promised = int(said or 0)
    if not promised:
        return
    import torch

    seen = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if seen < promised:
        asked = f"{promised} GPU{'s' * (promised > 1)} ({GPUS_VARIABLE}={promised})"
        why = _why_no_cuda() if not seen else "look at the limits of its pod, and at CUDA_VISIBLE_DEVICES"
        raise UserError(f"this stage asked for {asked}, and PyTorch sees {seen or 'none'}: {why}")


def _why_no_cuda() -> str:
    """What is wrong where there should be a GPU and PyTorch finds none, and how to mend it."""
    import torch

    if torch.version.cuda is None:
        return "this PyTorch is built without CUDA; run the stage in the image for training"
    if not gpus():
        return "its node shows it no device; look at the limits of its pod, and at the node's device plugin"
    return f"devices are there, so look at the node's driver: it has to fit CUDA {torch.version.cuda}"


@cache
def has_cuda() -> bool:
    """Whether PyTorch finds a CUDA device; it is not imported, a second, where the machine has no such device."""
    if not any(Path("/dev").glob("nvidia[0-9]*")) and not Path("/dev/dxg").exists():
        return False
    import torch

    return torch.cuda.is_available()
