"""One answer to: which device, which kernels, how many cores."""

import importlib
import os
import sys
from importlib.util import find_spec

import pytest

from aira_lib import device
from aira_lib.errors import UserError


@pytest.mark.parametrize("name", ["cpu", "cuda", "cuda:3"])
def test_the_variable_names_the_device(monkeypatch, name):
    monkeypatch.setenv("AIRA_DEVICE", name)
    assert device.device() == name
    assert device.device_kind() == name.partition(":")[0]


@pytest.mark.parametrize("name", ["tpu", "cuda:", "gpu", "cpu:0", "cuda:-1"])
def test_an_unknown_device_is_one_line(monkeypatch, name):
    monkeypatch.setenv("AIRA_DEVICE", name)
    with pytest.raises(UserError, match=r"AIRA_DEVICE=.*valid: cpu, cuda, cuda:N"):
        device.device()


def test_plain_kernels_are_those_of_pytorch(monkeypatch):
    monkeypatch.delenv("AIRA_KERNELS", raising=False)
    assert device.kernels("cpu") == "fused"  # numba is part of the test environment
    monkeypatch.setenv("AIRA_KERNELS", "plain")
    assert device.kernels("cpu") == device.kernels("cuda") == "torch"


@pytest.fixture
def packages(tmp_path, monkeypatch):
    """Writes packages of kernels, which are found from then on; forgets them and what was learnt of them afterwards."""
    monkeypatch.delenv("AIRA_KERNELS", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)

    def write(module, text):
        path = tmp_path / f"{module.replace('.', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        for folder in path.relative_to(tmp_path).parents:
            (tmp_path / folder / "__init__.py").touch()
        path.write_text(text)
        device.import_problem.cache_clear()
        importlib.invalidate_caches()

    device.import_problem.cache_clear()
    yield write
    for name in set(sys.modules) - before:
        del sys.modules[name]
    device.import_problem.cache_clear()


FLA, MAMBA = "fla.ops.simple_gla", "mamba_ssm.ops.triton.ssd_combined"
SCAN = {FLA: "def chunk_simple_gla(): ...", MAMBA: "def mamba_chunk_scan_combined(): ..."}


def test_the_scan_on_cuda_is_the_first_that_can_be_imported(packages, monkeypatch):
    assert device.kernels("cuda") == "torch"
    packages(MAMBA, SCAN[MAMBA])
    assert device.kernels("cuda") == "mamba-ssm"
    packages(FLA, SCAN[FLA])
    assert device.kernels("cuda") == "fla"
    assert device.kernels("cpu") == "fused"
    monkeypatch.setenv("AIRA_KERNELS", "plain")
    assert device.kernels("cuda") == "torch"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("import selective_scan_cuda", "ModuleNotFoundError: No module named 'selective_scan_cuda'"),
        ("raise RuntimeError('0 active drivers ([]).\\nThere should only be one.')", "RuntimeError: 0 active drivers"),
        ("raise OSError('libcudart.so.12: cannot open shared object file')", "OSError: libcudart.so.12: cannot open"),
        ("something_else = 1", "AttributeError: "),
        ("from", "SyntaxError: "),
    ],
)
def test_a_package_that_is_found_and_cannot_be_imported_is_passed_over_with_a_reason(packages, text, words):
    """`find_spec` finds it: only the import tells."""
    packages(FLA, text)
    assert find_spec("fla") is not None
    assert device.kernels("cuda") == "torch"
    problem = device.import_problem(device.CUDA_SCANS["fla"])
    assert not problem.missing
    assert problem.words.startswith(words)
    assert "\n" not in problem.words
    packages(MAMBA, SCAN[MAMBA])
    assert device.kernels("cuda") == "mamba-ssm"


def test_what_is_not_installed_is_said_so(packages):
    assert device.import_problem("fla.ops:f") == (True, "not installed")


@pytest.mark.parametrize(("quota", "most"), [("max 100000", None), ("150000 100000", 1), ("50000 100000", 1)])
def test_cores_are_no_more_than_the_container_grants(monkeypatch, tmp_path, quota, most):
    (tmp_path / "cpu.max").write_text(quota + "\n")
    monkeypatch.setattr(device, "_QUOTA", tmp_path / "cpu.max")
    assert device.cores() == (most or len(os.sched_getaffinity(0)))


def _machine(monkeypatch, count):
    monkeypatch.setattr("torch.cuda.is_available", lambda: count > 0)
    monkeypatch.setattr("torch.cuda.device_count", lambda: count)


@pytest.mark.parametrize(
    ("name", "count", "line"),
    [
        ("cuda", 0, "AIRA_DEVICE=cuda: PyTorch finds no CUDA device here; unset it, or choose another device"),
        ("cuda:7", 1, "AIRA_DEVICE=cuda:7: PyTorch finds cuda:0 here; unset it, or choose another device"),
        ("cuda:2", 2, "AIRA_DEVICE=cuda:2: PyTorch finds cuda:0, cuda:1 here; unset it, or choose another device"),
    ],
)
def test_a_device_that_is_not_here_is_one_line_where_it_is_to_compute(monkeypatch, name, count, line):
    monkeypatch.setenv("AIRA_DEVICE", name)
    _machine(monkeypatch, count)
    assert device.device() == name  # for keys, anywhere
    with pytest.raises(UserError) as error:
        device.ready_device()
    assert str(error.value) == line


@pytest.mark.parametrize(("name", "count"), [("cpu", 0), ("cpu", 2), ("cuda", 1), ("cuda:0", 1), ("cuda:1", 2)])
def test_a_device_that_is_here_is_ready(monkeypatch, name, count):
    monkeypatch.setenv("AIRA_DEVICE", name)
    _machine(monkeypatch, count)
    assert device.ready_device() == name


@pytest.mark.parametrize(("promised", "seen"), [("", 0), ("0", 0), ("1", 1), ("8", 8), ("1", 2)])
def test_promised_gpus_that_are_there_are_no_matter(monkeypatch, promised, seen):
    import torch

    monkeypatch.setenv("AIRA_GPUS", promised)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: seen > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: seen)
    device.check_promised_gpus()


def test_a_stage_that_sees_fewer_gpus_than_were_promised_says_why(monkeypatch):
    """Kubeflow is known to drop a GPU without a word; the stage would train on one core for weeks."""
    import torch

    def refusal(promised, seen, cuda="12.8", devices=()):
        monkeypatch.setenv("AIRA_GPUS", promised)
        monkeypatch.setattr(torch.cuda, "is_available", lambda: seen > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: seen)
        monkeypatch.setattr(torch.version, "cuda", cuda)
        monkeypatch.setattr(device, "gpus", lambda: devices)
        with pytest.raises(UserError) as refused:
            device.check_promised_gpus()
        return str(refused.value)

    assert refusal("1", 0).startswith("this stage asked for 1 GPU (AIRA_GPUS=1), and PyTorch sees none: ")
    assert "8 GPUs (AIRA_GPUS=8), and PyTorch sees 7: look at the limits of its pod" in refusal("8", 7)
    assert "built without CUDA; run the stage in the image for training" in refusal("1", 0, cuda=None)
    assert "no device; look at the limits" in refusal("1", 0)
    assert "it has to fit CUDA 12.8" in refusal("1", 0, devices=("0",))
    for wrong in ("one", "-1", "1.5", "99999"):
        assert refusal(wrong, 8) == f"AIRA_GPUS={wrong!r}: GPUs that a stage was given are a whole number"
