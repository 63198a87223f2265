import math

import pytest
import torch
import torch.nn.functional as F

from aira_lib.architecture.scales import Scale
from aira_lib.models import mamba2
from aira_lib.models.attention import Attention
from aira_lib.models.mamba2 import Mamba2, causal_conv
from aira_lib.models.mlp import MLP, ReLUMLP, SwiGLU
from aira_lib.models.rotary import rotary_table, rotate


def scale(**changes: object) -> Scale:
    base: dict[str, object] = {
        "name": "t", "d_model": 16, "n_heads": 4, "n_kv_heads": 2, "head_dim": 4, "d_ff": 24, "d_ssm": 32, "d_state": 6,
        "ssm_head_dim": 8, "n_groups": 2, "seq_len": 32, "vocab_size": 11, "tokens_per_step": 64,
    }  # fmt: skip
    return Scale.model_validate({**base, **changes})


def blocks() -> list[torch.nn.Module]:
    torch.manual_seed(0)
    return [Attention(scale()), Mamba2(scale()), Mamba2(scale(), chunk=4), MLP(scale()), MLP(scale(mlp="relu"))]


@pytest.mark.parametrize("index", range(5))
def test_no_block_sees_the_future(index: int) -> None:
    block = blocks()[index].double()
    x = torch.randn(2, 11, 16, dtype=torch.float64)
    y = block(x)
    for t in range(11):
        changed = x.clone()
        changed[:, t] += 1.0
        difference = (block(changed) - y).abs().amax((0, 2))
        assert difference[:t].max().item() < 1e-12 if t else True
        assert difference[t] > 1e-6


def test_mixers_see_the_past_and_mlps_do_not() -> None:
    x = torch.randn(1, 9, 16)
    changed = x.clone()
    changed[:, 0] += 1.0
    reach = [(b(changed) - b(x)).abs()[:, -1].max().item() > 1e-7 for b in blocks()]
    assert reach == [True, True, True, False, False]


def test_mlps_by_formula() -> None:
    x = torch.randn(3, 5, 16)
    gated, relu = MLP(scale()), MLP(scale(mlp="relu"))
    assert isinstance(gated, SwiGLU)
    assert isinstance(relu, ReLUMLP)
    gate, up = gated.gate_up.weight.chunk(2)
    expected = (x @ gate.T * torch.sigmoid(x @ gate.T) * (x @ up.T)) @ gated.out.weight.T
    assert torch.allclose(gated(x), expected, atol=1e-6)
    assert torch.allclose(relu(x), torch.clamp(x @ relu.up.weight.T, min=0) @ relu.out.weight.T, atol=1e-6)


def test_rotary_scores_depend_on_the_distance_only() -> None:
    q, k = torch.randn(2, 1, 1, 1, 8, dtype=torch.float64)
    table = rotary_table(20, 8, 10_000.0, torch.float64, torch.device("cpu"))
    q, k = (rotate(t.expand(1, 20, 1, 8), table)[0, :, 0] for t in (q, k))
    scores = q @ k.T
    for distance in range(-19, 20):
        diagonal = scores.diagonal(distance)
        assert torch.allclose(diagonal, diagonal[0].expand_as(diagonal))
    assert scores[5, 0] != pytest.approx(scores[9, 0].item())


def test_rotation_keeps_lengths_and_the_first_position() -> None:
    x = torch.randn(2, 7, 3, 6)
    turned = rotate(x, rotary_table(7, 6, 10_000.0, torch.float32, torch.device("cpu")))
    assert torch.allclose(turned.norm(dim=-1), x.norm(dim=-1), atol=1e-5)
    assert torch.allclose(turned[:, 0], x[:, 0])


def test_grouped_heads_equal_repeated_heads() -> None:
    grouped, full = Attention(scale()).double(), Attention(scale(n_kv_heads=4)).double()
    q, k, v = grouped.qkv.weight.detach().view(8, 4, 16).split((4, 2, 2))
    repeated = torch.cat((q, k.repeat_interleave(2, 0), v.repeat_interleave(2, 0))).reshape(48, 16)
    full.qkv.weight.data.copy_(repeated)
    full.out.weight.data.copy_(grouped.out.weight)
    x = torch.randn(2, 7, 16, dtype=torch.float64)
    assert torch.allclose(grouped(x), full(x), atol=1e-12)


def test_an_odd_head_is_refused() -> None:
    with pytest.raises(ValueError, match="even head_dim"):
        Attention(scale(head_dim=5))


def test_causal_conv_equals_conv1d() -> None:
    x, weight, bias = torch.randn(2, 9, 5), torch.randn(5, 4), torch.randn(5)
    expected = F.conv1d(F.pad(x.mT, (3, 0)), weight.unsqueeze(1), bias, groups=5).mT
    assert torch.allclose(causal_conv(x, weight, bias), expected, atol=1e-5)


def test_causal_conv_gradients() -> None:
    arguments = [torch.randn(*s, dtype=torch.float64, requires_grad=True) for s in ((2, 6, 3), (3, 4), (3,))]
    assert torch.autograd.gradcheck(causal_conv, arguments)


@pytest.mark.parametrize("chunk", [None, 4])
def test_decoding_step_by_step_equals_the_whole(chunk: int | None) -> None:
    block = Mamba2(scale(), chunk=chunk).double()
    x = torch.randn(3, 10, 16, dtype=torch.float64)
    state, ys = None, []
    for t in range(10):
        y, state = block.extend(x[:, t : t + 1], state)
        ys.append(y)
    assert torch.allclose(torch.cat(ys, 1), block(x), atol=1e-10)


def test_mamba_initial_values() -> None:
    torch.manual_seed(0)
    block = Mamba2(scale(d_ssm=4096, ssm_head_dim=2))
    dt, A = F.softplus(block.dt_bias), block.A_log.exp()
    assert dt.min() >= 1e-3 * 0.999
    assert dt.max() <= 0.1 * 1.001
    assert dt.log().mean().item() == pytest.approx((math.log(1e-3) + math.log(0.1)) / 2, abs=0.1)
    assert A.min() >= 1
    assert A.max() <= 16
    assert A.mean().item() == pytest.approx(8.5, abs=0.4)
    assert (block.D == 1).all()


def test_mamba_gates_before_its_norm() -> None:
    block = Mamba2(scale(n_groups=1)).double()
    y, x, z = torch.randn(3, 2, 5, 4, 8, dtype=torch.float64)
    z = z.flatten(-2)
    gated = (y + block.D[:, None] * x).flatten(-2) * F.silu(z)
    normed = gated / (gated.square().mean(-1, keepdim=True) + mamba2.NORM_EPS).sqrt()
    assert torch.allclose(block._finish(y, x, z), normed @ block.out.weight.T, atol=1e-10)
