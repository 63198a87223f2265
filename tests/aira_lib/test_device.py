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
