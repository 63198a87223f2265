from types import SimpleNamespace

import pytest
import torch

import aira_lib.sandbox.gpu_in_words as device
from aira_lib.sandbox.gpu import Gpu
from aira_lib.study import CandidateLimits


@pytest.fixture(autouse=True)
def _fresh() -> None:
    device.gpu_in_words.cache_clear()


def machine(monkeypatch: pytest.MonkeyPatch, devices: int, cuda: bool = True) -> None:
    nodes = tuple(f"/dev/nvidia{i}" for i in range(devices))
    monkeypatch.setattr(device, "gpu_of_machine", lambda fraction: Gpu(devices=nodes))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: devices)
    properties = SimpleNamespace(name="NVIDIA H200", total_memory=140_000_000_000)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: properties)


@pytest.mark.parametrize(("devices", "wanted", "told"), [
    (1, True, "NVIDIA H200, of whose memory it may use 35 GB"),
    (8, True, "NVIDIA H200 (the first of 8), of whose memory it may use 35 GB"),
    (0, True, ""), (1, False, ""),
])  # fmt: skip
def test_what_the_sandbox_gives(devices: int, wanted: bool, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch, devices)
    assert device.gpu_in_words(CandidateLimits(gpu=wanted, gpu_memory_fraction=0.25)) == told


def test_a_gpu_without_cuda_in_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch, 1, cuda=False)
    assert "torch here makes no use" in device.gpu_in_words(CandidateLimits(gpu=True))
