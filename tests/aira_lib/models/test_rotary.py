"""Rotary embeddings in real numbers against complex ones, and Llama 3's scaling against its published formula."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from aira_lib.architecture.scales import RopeScaling, Scale, scale_named
from aira_lib.models.attention import Attention, WindowAttention
from aira_lib.models.rotary import frequencies, rotary_pairs, rotary_table, rotate
from aira_lib.study.digests import changed

CPU = torch.device("cpu")
SISTER_PAPER = RopeScaling(factor=32, low_freq_factor=1, high_freq_factor=4, original_length=8192)


def turned(x: Tensor, angles: Tensor) -> Tensor:
    """The definition: pairs of channels as complex numbers times exp(i angle)."""
    pairs = torch.view_as_complex(x.reshape(*x.shape[:-1], -1, 2))
    return torch.view_as_real(pairs * torch.polar(torch.ones_like(angles), angles)[:, None]).flatten(-2)


def published(head_dim: int, theta: float, scaling: RopeScaling) -> list[float]:
    """As github.com/meta-llama/llama-models states it, a frequency at a time."""
    scaled = []
    for pair in range(head_dim // 2):
        frequency = 1.0 / theta ** (2 * pair / head_dim)
        wavelength = 2 * math.pi / frequency
        if wavelength < scaling.original_length / scaling.high_freq_factor:
            scaled.append(frequency)
        elif wavelength > scaling.original_length / scaling.low_freq_factor:
            scaled.append(frequency / scaling.factor)
        else:
            smooth = scaling.original_length / wavelength - scaling.low_freq_factor
            smooth /= scaling.high_freq_factor - scaling.low_freq_factor
            scaled.append((1 - smooth) * frequency / scaling.factor + smooth * frequency)
    return scaled


@given(
    length=st.integers(1, 40),
    half=st.integers(1, 17),
    theta=st.floats(10, 1e6),
    scaling=st.sampled_from([None, SISTER_PAPER, RopeScaling(original_length=16)]),
)
def test_real_numbers_say_what_complex_ones_do(
    length: int, half: int, theta: float, scaling: RopeScaling | None
) -> None:
    torch.manual_seed(length)
    x = torch.randn(2, length, 3, 2 * half, dtype=torch.float64, requires_grad=True)
    angles = torch.outer(torch.arange(length, dtype=torch.float64), frequencies(2 * half, theta, scaling))
    ours = rotate(x, rotary_table(length, 2 * half, theta, x.dtype, CPU, scaling))
    wanted = turned(x, angles)
    assert torch.allclose(ours, wanted, atol=1e-12)
    weights = torch.randn_like(ours)
    found, right = (torch.autograd.grad((each * weights).sum(), x)[0] for each in (ours, wanted))
    assert torch.allclose(found, right, atol=1e-12)


@pytest.mark.parametrize("head_dim", [16, 64, 128])
@pytest.mark.parametrize("theta", [10_000.0, 500_000.0])
@pytest.mark.parametrize("scaling", [SISTER_PAPER, RopeScaling(factor=8), RopeScaling(original_length=100)])
def test_scaled_frequencies_are_llama_3s(head_dim: int, theta: float, scaling: RopeScaling) -> None:
    ours = frequencies(head_dim, theta, scaling)
    assert ours.tolist() == pytest.approx(published(head_dim, theta, scaling), rel=1e-12)
    assert not torch.equal(ours, frequencies(head_dim, theta))


def test_the_fused_kernels_table_has_the_same_angles() -> None:
    cosines, sines = rotary_table(30, 8, 1e4, torch.float32, CPU, SISTER_PAPER)
    pairs = rotary_pairs(30, 8, 1e4, SISTER_PAPER).view(30, 4, 2)
    assert torch.equal(pairs[..., 0], cosines[:, 0, ::2])
    assert torch.equal(pairs[..., 1], sines[:, 0, 1::2])


def scaled(scaling: RopeScaling | None) -> Scale:
    return scale_named("nano", 3).model_copy(update={"rope_scaling": scaling})


@pytest.mark.parametrize("kernel", ["torch", "auto"])
def test_scaling_reaches_attention_by_both_ways(kernel: str) -> None:
    torch.manual_seed(0)
    x, scaling = torch.randn(2, 90, 32), RopeScaling(original_length=64, factor=8)
    layers = {key: Attention(scaled(each), kernel) for key, each in (("plain", None), ("scaled", scaling))}
    layers["scaled"].load_state_dict(layers["plain"].state_dict())
    layer = layers["scaled"]
    wide = layer.qkv(x).view(2, 90, -1, 16)
    angles = torch.outer(torch.arange(90.0), torch.tensor(published(16, 500_000.0, scaling)))
    q, k = turned(wide[:, :, :2], angles), turned(wide[:, :, 2:3], angles).expand(2, 90, 2, 16)
    scores = torch.einsum("bthc,bshc->bhts", q, k) / 4
    weights = scores.masked_fill(torch.ones(90, 90).triu(1).bool(), -torch.inf).softmax(-1)
    mixed = torch.einsum("bhts,bsc->bthc", weights, wide[:, :, 3])
    assert torch.allclose(layer(x), layer.out(mixed.flatten(2)), atol=1e-5)
    assert (layer(x) - layers["plain"](x)).abs().max() > 1e-3


class NoComplexNumbers(TorchDispatchMode):
    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        made = func(*args, **(kwargs or {}))
        assert not (isinstance(made, Tensor) and made.is_complex()), func
        return made


def test_the_compiler_meets_no_complex_number() -> None:
    layer, x = Attention(scaled(None), "torch"), torch.randn(1, 61, 32)
    with NoComplexNumbers():
        layer(x).sum().backward()


def test_tables_made_in_inference_serve_a_training() -> None:
    layer, x = Attention(scaled(None).model_copy(update={"window": 3}), "torch"), torch.randn(1, 53, 32)
    with torch.inference_mode():
        layer(x)
    layer(x).sum().backward()


def test_a_scale_without_scaling_states_nothing_new() -> None:
    assert "rope_scaling" not in changed(scale_named("350M", 3))
    assert changed(scaled(RopeScaling()))["rope_scaling"] == {}
    assert changed(scaled(RopeScaling(factor=8)))["rope_scaling"] == {"factor": 8.0}


def test_low_frequencies_lie_below_high_ones() -> None:
    with pytest.raises(ValidationError, match="low_freq_factor 4 is not below high_freq_factor 4"):
        RopeScaling(low_freq_factor=4)


@pytest.mark.slow
@pytest.mark.parametrize("window", [None, 20])
def test_a_compiled_layer_is_one_graph_that_makes_no_angles(window: int | None) -> None:
    torch.manual_seed(0)
    scale = scaled(None).model_copy(update={"window": window})
    layer = WindowAttention(scale, "torch") if window else Attention(scale, "torch")
    x, graphs = torch.randn(1, 53, 32), []

    def watched(graph: torch.fx.GraphModule, inputs: list[Tensor]) -> object:
        graphs.append({str(node.target) for node in graph.graph.nodes})
        return graph.forward

    wanted = layer(x)
    assert torch.equal(torch.compile(layer, fullgraph=True, backend=watched)(x), wanted)
    (operations,) = graphs
    assert not {"cos", "sin"} & operations
