"""One answer to: which device, which kernels, how many cores."""

import os

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
