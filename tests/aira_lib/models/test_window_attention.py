"""Window attention against a loop over positions, against full attention, and its two ways against each other."""

import pytest
import torch
from torch import Tensor

from aira_lib.architecture.scales import Scale
from aira_lib.models.attention import Attention, WindowAttention, attend, attend_in_blocks
from aira_lib.models.masks import band
from aira_lib.models.rotary import rotary_table, rotate


def scale(**changes: object) -> Scale:
    base: dict[str, object] = {
        "name": "t", "d_model": 16, "n_heads": 4, "n_kv_heads": 2, "head_dim": 4, "d_ff": 24, "d_ssm": 32, "d_state": 6,
        "ssm_head_dim": 8, "seq_len": 32, "vocab_size": 11, "tokens_per_step": 64,
    }  # fmt: skip
    return Scale.model_validate({**base, **changes})


def slow(layer: WindowAttention, x: Tensor) -> Tensor:
    """The definition, one query of one head at a time."""
    batch, length, _ = x.shape
    heads = layer.qkv(x).view(batch, length, -1, layer.head_dim)
    n, kv = layer.n_heads, layer.n_kv_heads
    table = rotary_table(length, layer.head_dim, layer.theta, x.dtype, x.device)
    q, k, v = rotate(heads[:, :, :n], table), rotate(heads[:, :, n : n + kv], table), heads[:, :, n + kv :]
    rows = []
    for b in range(batch):
        for t in range(length):
            for head in range(n):
                seen = range(max(0, t - layer.window + 1), t + 1)
                group = head * kv // n
                scores = torch.stack([q[b, t, head] @ k[b, s, group] for s in seen]) / layer.head_dim**0.5
                rows.append(scores.softmax(0) @ torch.stack([v[b, s, group] for s in seen]))
    return layer.out(torch.stack(rows).view(batch, length, -1))  # type: ignore[no-any-return]


def layer_of(window: int | None, **changes: object) -> WindowAttention:
    torch.manual_seed(0)
    return WindowAttention(scale(window=window, **changes)).double()


def gradients(of: Tensor, inputs: list[Tensor]) -> tuple[Tensor, ...]:
    return torch.autograd.grad((of * torch.linspace(-1, 1, of.numel(), dtype=of.dtype).view_as(of)).sum(), inputs)


@pytest.mark.parametrize("window", [1, 2, 3, 5, 8])
@pytest.mark.parametrize("length", [1, 2, 4, 9, 10, 11, 17])
def test_it_is_its_definition_with_its_gradients(window: int, length: int) -> None:
    layer = layer_of(window)
    x = torch.randn(2, length, 16, dtype=torch.float64, requires_grad=True)
    ours, wanted = layer(x), slow(layer, x)
    assert torch.allclose(ours, wanted, atol=1e-10)
    inputs = [x, *layer.parameters()]
    for found, right in zip(gradients(ours, inputs), gradients(wanted, inputs), strict=True):
        assert torch.allclose(found, right, atol=1e-10)


@pytest.mark.parametrize("window", [12, 13, 40])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_window_over_the_whole_sequence_is_full_attention(window: int, dtype: torch.dtype) -> None:
    near, full = layer_of(window).to(dtype), Attention(scale()).to(dtype)
    full.load_state_dict(near.state_dict())
    x = torch.randn(2, 12, 16, dtype=dtype, requires_grad=True)
    ours, wanted = near(x), full(x)
    assert torch.allclose(ours, wanted, atol=1e-6)
    for a, b in zip(gradients(ours, [x, *near.parameters()]), gradients(wanted, [x, *full.parameters()]), strict=True):
        assert torch.allclose(a, b, atol=1e-6)


def test_a_smaller_window_is_not_full_attention() -> None:
    near, full = layer_of(11), Attention(scale()).double()
    full.load_state_dict(near.state_dict())
    x = torch.randn(1, 12, 16, dtype=torch.float64)
    difference = (near(x) - full(x)).abs().amax((0, 2))
    assert difference[:11].max() < 1e-12
    assert difference[11] > 1e-6


@pytest.mark.parametrize(("window", "length"), [(3, 5), (3, 6), (3, 14), (5, 15), (1, 4)])
def test_a_position_sees_its_window_and_nothing_else(window: int, length: int) -> None:
    layer = layer_of(window)
    x = torch.randn(1, length, 16, dtype=torch.float64, requires_grad=True)
    for t in range(length):
        (gradient,) = torch.autograd.grad(layer(x)[0, t].square().sum(), x)
        reached = gradient[0].abs().amax(1) > 1e-12
        assert reached.nonzero().flatten().tolist() == list(range(max(0, t - window + 1), t + 1))


@pytest.mark.parametrize("kv_heads", [1, 2, 4])
@pytest.mark.parametrize(("window", "length"), [(4, 9), (4, 12), (4, 31), (1, 6), (7, 16)])
def test_blocks_and_the_band_of_the_whole_matrix_agree(window: int, length: int, kv_heads: int) -> None:
    torch.manual_seed(1)
    inputs = [torch.randn(2, length, n, 4, dtype=torch.float64, requires_grad=True) for n in (4, kv_heads, kv_heads)]
    q, k, v = inputs
    blocks = attend_in_blocks(q, k, v, window)
    whole = attend(q, k, v, band(length, length, window, q.device))
    assert torch.allclose(blocks, whole, atol=1e-12)
    for a, b in zip(gradients(blocks, inputs), gradients(whole, inputs), strict=True):
        assert torch.allclose(a, b, atol=1e-12)


def test_grouped_heads_equal_repeated_heads() -> None:
    grouped, full = layer_of(3), layer_of(3, n_kv_heads=4)
    q, k, v = grouped.qkv.weight.detach().view(8, 4, 16).split((4, 2, 2))
    full.qkv.weight.data.copy_(torch.cat((q, k.repeat_interleave(2, 0), v.repeat_interleave(2, 0))).reshape(48, 16))
    full.out.weight.data.copy_(grouped.out.weight)
    x = torch.randn(2, 14, 16, dtype=torch.float64)
    assert torch.allclose(grouped(x), full(x), atol=1e-12)


def test_no_score_is_computed_outside_of_two_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Queries times keys grow with length x window, not with length squared."""
    sizes = []
    plain = torch.nn.functional.scaled_dot_product_attention

    def counted(q: Tensor, k: Tensor, v: Tensor, **options: object) -> Tensor:
        sizes.append(q.shape[0] * q.shape[2] * k.shape[2])
        return plain(q, k, v, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", counted)
    for length in (64, 128):
        layer_of(4)(torch.randn(1, length, 16, dtype=torch.float64))
        assert sum(sizes) <= 2 * 4 * length
        sizes.clear()


def test_the_window_is_a_quarter_of_the_training_length() -> None:
    assert layer_of(None).window == 8
    assert layer_of(None, seq_len=3).window == 1
    assert layer_of(5).window == 5
