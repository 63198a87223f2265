"""What a candidate needs to use an NVIDIA GPU: device nodes, the driver's libraries, a share of its memory."""

import importlib.util
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

# Where containers and drivers put what is not among the system's own libraries; CUDA reads the topology in /sys.
_SEEN = (
    "/usr/local/nvidia", "/usr/local/cuda", "/usr/lib/wsl", "/etc/OpenCL", "/usr/share/nvidia",
    "/sys/bus/pci", "/sys/devices", "/sys/module/nvidia", "/sys/module/nvidia_uvm",
)  # fmt: skip
_DRIVER = ("libcuda.so*", "libnvidia-*.so*", "libcudart.so*")
_INHERITED = ("CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES")


@dataclass(frozen=True)
class Gpu:
    """What is added to a candidate's view and environment."""

    devices: tuple[str, ...] = ()
    readonly: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()


def gpu_of_machine(memory_fraction: float, root: Path = Path("/")) -> Gpu:
    """The GPUs of this machine; all fields are empty where there is none.

    The share of memory is asked of PyTorch and JAX through their environment variables: of a candidate that calls CUDA
    itself nothing enforces it. PyTorch before 2.9 knows no such variable and gets none.

    Args:
        memory_fraction: The share of each GPU's memory, in (0, 1].
        root: The machine's root folder.
    """
    devices = tuple(sorted(f"/{path.relative_to(root)}" for path in _nodes(root)))
    if not devices:
        return Gpu()
    folders = _library_folders(os.environ.get("LD_LIBRARY_PATH", ""))
    environment = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    environment |= {"CUDA_CACHE_DISABLE": "1", "XLA_PYTHON_CLIENT_MEM_FRACTION": f"{memory_fraction:g}"}
    if _torch_takes_a_share():
        environment["PYTORCH_CUDA_ALLOC_CONF"] = f"per_process_memory_fraction:{memory_fraction:g}"
    if folders:
        environment["LD_LIBRARY_PATH"] = ":".join(folders)
    return Gpu(devices, (*_SEEN, *folders), tuple(environment.items()))


def _nodes(root: Path) -> Iterable[Path]:
    for pattern in ("nvidia*", "nvidia-caps/*", "dxg"):
        yield from (path for path in (root / "dev").glob(pattern) if not path.is_dir())


def _library_folders(search_path: str) -> list[str]:
    """Those folders that hold libraries of the driver: others on the path are none of the candidate's business."""
    folders = [folder for folder in search_path.split(":") if os.path.isabs(folder)]
    return [folder for folder in folders if any(next(Path(folder).glob(name), None) for name in _DRIVER)]


def _torch_takes_a_share() -> bool:
    """Whether the installed PyTorch reads a memory share from the environment; an older one would refuse to start."""
    found = importlib.util.find_spec("torch")
    for folder in (found.submodule_search_locations or []) if found else []:
        header = Path(folder) / "include" / "c10" / "cuda" / "CUDAAllocatorConfig.h"
        if header.exists():
            return '"per_process_memory_fraction"' in header.read_text(encoding="utf-8")
    return False


def merged(environment: Mapping[str, str], gpu: Gpu) -> dict[str, str]:
    """The environment of a candidate with a GPU."""
    return {**environment, **dict(gpu.environment)}
