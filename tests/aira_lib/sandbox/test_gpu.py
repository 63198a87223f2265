"""What a candidate with a GPU sees; the last tests need one."""

import os
from pathlib import Path

import pytest

import aira_lib.sandbox.process as process
from aira_lib.sandbox import run_candidate
from aira_lib.sandbox.bubblewrap import wrapper
from aira_lib.sandbox.gpu import Gpu, gpu_of_machine, merged
from aira_lib.sandbox.process import _rlimits
from aira_lib.sandbox.view import DEVICES, view_of
from aira_lib.study import CandidateLimits

LIMITS = CandidateLimits(seconds=300, memory_mb=32_768, gpu=True, gpu_memory_fraction=0.25)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The root folder of a machine with a GPU; its devices are plain files."""
    (tmp_path / "dev" / "nvidia-caps").mkdir(parents=True)
    for name in ("nvidia0", "nvidiactl", "nvidia-uvm", "nvidia-caps/nvidia-cap1", "sda"):
        (tmp_path / "dev" / name).touch()
    for name in ("driver/libcuda.so.1", "private/secret"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    monkeypatch.setenv("LD_LIBRARY_PATH", f"{tmp_path}/driver:{tmp_path}/private:relative:")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-planted")
    return tmp_path


def test_devices_driver_and_share_are_found(machine: Path) -> None:
    gpu = gpu_of_machine(0.25, machine)
    assert gpu.devices == ("/dev/nvidia-caps/nvidia-cap1", "/dev/nvidia-uvm", "/dev/nvidia0", "/dev/nvidiactl")
    assert f"{machine}/driver" in gpu.readonly
    assert f"{machine}/private" not in gpu.readonly
    environment = merged({"PATH": "/bin"}, gpu)
    assert environment["LD_LIBRARY_PATH"] == f"{machine}/driver"
    assert environment["CUDA_VISIBLE_DEVICES"] == "3"
    assert environment["XLA_PYTHON_CLIENT_MEM_FRACTION"] == "0.25"
    assert "OPENAI_API_KEY" not in environment


def test_torch_is_given_its_share_only_where_it_reads_it(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    header = machine / "torch" / "include" / "c10" / "cuda" / "CUDAAllocatorConfig.h"
    header.parent.mkdir(parents=True)
    spec = type("Spec", (), {"submodule_search_locations": [str(machine / "torch")]})
    monkeypatch.setattr("importlib.util.find_spec", lambda name: spec)
    header.write_text('"per_process_memory_fraction",')
    assert dict(gpu_of_machine(0.25, machine).environment)["PYTORCH_CUDA_ALLOC_CONF"] == (
        "per_process_memory_fraction:0.25"
    )
    header.write_text('"max_split_size_mb",')
    assert "PYTORCH_CUDA_ALLOC_CONF" not in dict(gpu_of_machine(0.25, machine).environment)


def test_a_machine_without_a_gpu_adds_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "dev").mkdir()
    assert gpu_of_machine(0.5, tmp_path) == Gpu()
    monkeypatch.setattr(process, "gpu_of_machine", lambda fraction: Gpu())
    (tmp_path / "work").mkdir()
    limits = CandidateLimits(seconds=60, memory_mb=256, gpu=True)
    code = "import os; print(sorted(os.environ)); x = bytearray(1 << 30)"
    outcome = run_candidate(code, tmp_path / "work", limits)
    assert outcome.status == "memory"
    assert "XLA" not in outcome.stdout_tail


def test_the_view_and_the_limits_of_a_gpu_candidate(machine: Path, tmp_path: Path) -> None:
    gpu = gpu_of_machine(0.25, machine)
    view = view_of(tmp_path, {}, gpu)
    assert view.devices == (*DEVICES, *gpu.devices)
    assert str(machine / "driver") in view.readonly
    assert view_of(tmp_path, {}).devices == DEVICES
    words = wrapper(view)
    assert words[words.index("/dev/nvidia0") - 1] == "--dev-bind-try"
    assert "RLIMIT_AS" not in _rlimits(LIMITS, 1.0, gpu)
    assert _rlimits(LIMITS, 1.0)["RLIMIT_AS"] == 32_768 << 20


def test_a_device_is_seen_by_the_candidate_that_wants_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal's device stands in for a GPU's: it too is no part of the view otherwise."""
    if not os.path.exists("/dev/tty") or process.isolation() not in ("namespaces", "bubblewrap", "user namespaces"):
        pytest.skip("no device to show here")
    monkeypatch.setattr(process, "gpu_of_machine", lambda fraction: Gpu(devices=("/dev/tty",)))
    code = "import os, stat; print('tty' in os.listdir('/dev'), stat.S_ISCHR(os.stat('/dev/tty').st_mode))"
    assert run_candidate(code, tmp_path, LIMITS).stdout_tail == "True True\n"
    without = LIMITS.model_copy(update={"gpu": False})
    assert "FileNotFoundError" in run_candidate(code, tmp_path, without).reason


@pytest.fixture
def cuda() -> None:
    import torch

    if not torch.cuda.is_available():
        pytest.skip("no CUDA device here")


@pytest.mark.gpu
def test_a_candidate_computes_on_the_gpu(cuda: None, tmp_path: Path) -> None:
    code = (
        "import torch\na = torch.ones(512, 512, device='cuda')\nprint(float((a @ a).sum()))\n"
        "print(torch.cuda.get_per_process_memory_fraction())"
    )
    outcome = run_candidate(code, tmp_path, LIMITS)
    assert outcome.status == "ok", outcome
    assert outcome.stdout_tail.splitlines() == [str(float(512**3)), "0.25"]


@pytest.mark.gpu
def test_one_that_takes_more_than_its_share_of_gpu_memory_fails_with_a_reason(cuda: None, tmp_path: Path) -> None:
    code = (
        "import torch\nhalf = torch.cuda.get_device_properties(0).total_memory // 2\n"
        "x = torch.empty(half, dtype=torch.uint8, device='cuda')"
    )
    outcome = run_candidate(code, tmp_path, LIMITS)
    assert (outcome.status, outcome.reason) == ("memory", "used more than its share (25%) of the GPU's memory"), outcome


@pytest.mark.gpu
def test_a_candidate_without_a_gpu_sees_none(cuda: None, tmp_path: Path) -> None:
    limits = LIMITS.model_copy(update={"gpu": False})
    outcome = run_candidate("import torch; print(torch.cuda.is_available())", tmp_path, limits)
    assert outcome.stdout_tail == "False\n", outcome
