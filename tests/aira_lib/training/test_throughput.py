"""Tokens a second and the share of a device's peak."""

import pytest
import torch

from aira_lib.architecture.cost import flops_per_token, true_flops_per_token
from aira_lib.architecture.pattern import parse
from aira_lib.architecture.scales import scale_named
from aira_lib.training.throughput import Meter, peak, peak_of


@pytest.mark.parametrize(
    ("name", "flops"),
    [
        ("NVIDIA H100 80GB HBM3", 989e12), ("NVIDIA H100 PCIe", 756e12), ("NVIDIA H100 NVL", 835e12),
        ("NVIDIA H200", 989e12), ("NVIDIA A100-SXM4-80GB", 312e12), ("NVIDIA A100-PCIE-40GB", 312e12),
        ("NVIDIA B200", 2.25e15), ("NVIDIA L4", 121e12), ("NVIDIA L40S", 362e12),
    ],
)  # fmt: skip
def test_the_peak_of_a_known_device(name: str, flops: float) -> None:
    assert peak_of(name) == flops


@pytest.mark.parametrize("name", ["NVIDIA H100 80GB HBM3 MIG 1g.10gb", "NVIDIA Z9000", "Tesla V100", "NVIDIA L40", ""])
def test_an_unknown_device_has_no_peak(name: str) -> None:
    assert peak_of(name) is None


def test_a_cpu_has_no_peak_nor_has_fp32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.get_device_name", lambda device: "NVIDIA H200")
    assert peak(torch.device("cpu"), "bf16") is None
    assert peak(torch.device("cuda", 0), "fp32") is None
    assert peak(torch.device("cuda", 0), "bf16") == 989e12


def test_a_meter_counts_from_the_first_step_on(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    meter = Meter(flops_per_token=2e9, peak=1e12)
    assert meter.in_all() == {}
    meter.count(1000)  # warming up
    for _ in range(4):
        now += 2.0
        meter.count(1000)
    assert meter.lately() == {"tokens_per_second": 500.0, "mfu": 1.0}
    now += 4.0
    meter.count(1000)
    assert meter.lately() == {"tokens_per_second": 250.0, "mfu": 0.5}
    assert meter.lately() == {}
    assert meter.in_all() == {"tokens_per_second": pytest.approx(5000 / 12), "mfu": pytest.approx(5 / 6)}
    assert "mfu" not in Meter(2e9, None).in_all()


def test_true_flops_are_those_of_the_layers_by_hand() -> None:
    """350M of two primitives: 6 FLOPs a weight, scores against (S + 1) / 2 positions in the mean, and the head."""
    scale = scale_named("350M", 2)
    attention = 6 * (2 * 1536 * 1536 + 2 * 1536 * 512) + 12 * 1536 * (8192 + 1) / 2
    mlp = 6 * 3 * 1536 * 4096
    head = 6 * scale.vocab_size * 1536
    layers = parse("14(A-M)")
    assert true_flops_per_token(layers, scale) == pytest.approx(14 * (attention + mlp) + head, abs=14)
    halved = 14 * 6 * 8192 * 1536
    assert true_flops_per_token(layers, scale) == pytest.approx(
        flops_per_token(layers, scale) - halved + head, rel=1e-4
    )


def test_a_window_sees_what_a_count_of_positions_says() -> None:
    scale = scale_named("nano", 3).model_copy(update={"window": 5, "seq_len": 17})
    seen = sum(min(position, 5) for position in range(1, 18)) / 17
    weights = 6 * (2 * scale.d_model * scale.q_dim + 2 * scale.d_model * scale.kv_dim)
    head = 6 * scale.vocab_size * scale.d_model
    assert true_flops_per_token(("W",), scale) == pytest.approx(weights + 12 * seen * scale.q_dim + head, abs=1)
    wide = scale.model_copy(update={"window": 99})
    assert true_flops_per_token(("W",), wide) == true_flops_per_token(("A",), wide)
