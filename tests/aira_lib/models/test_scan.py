import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from aira_lib.errors import UserError
from aira_lib.models import scan
from aira_lib.models.scan import segment_sum, ssd, ssd_chunked, ssd_sequential


def inputs(length: int, heads: int = 4, groups: int = 2, seed: int = 0, batch: int = 2) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    x = normal(batch, length, heads, 3)
    dt, A = normal(batch, length, heads).exp() * 0.3, -normal(heads).exp()
    return [x, dt, A, normal(batch, length, groups, 5), normal(batch, length, groups, 5)]


@settings(deadline=None, max_examples=40)
@given(length=st.integers(1, 40), chunk=st.integers(1, 48), groups=st.sampled_from([1, 2, 4]), seed=st.integers(0, 99))
def test_chunks_equal_the_recurrence(length: int, chunk: int, groups: int, seed: int) -> None:
    arguments = inputs(length, groups=groups, seed=seed)
    y, state = ssd_sequential(*arguments)
    chunked_y, chunked_state = ssd_chunked(*arguments, chunk=chunk)
    assert (chunked_y - y).abs().max() < 1e-10
    assert (chunked_state - state).abs().max() < 1e-10
    assert (ssd(*arguments, chunk=chunk) - y).abs().max() < 1e-10


def test_long_chunks_take_the_cumulative_sum_and_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = inputs(scan.TABLE_LENGTH + 9)
    y, _ = ssd_sequential(*arguments)
    assert (ssd(*arguments, chunk=256) - y).abs().max() < 1e-10
    monkeypatch.setattr(scan, "TABLE_LENGTH", 256)
    assert (ssd(*arguments, chunk=256) - y).abs().max() < 1e-10


@pytest.mark.parametrize("cut", [1, 7, 16, 29])
def test_a_carried_state_splits_a_sequence(cut: int) -> None:
    x, dt, A, B, C = inputs(30)
    whole, last = ssd_chunked(x, dt, A, B, C, chunk=8)
    left, state = ssd_chunked(x[:, :cut], dt[:, :cut], A, B[:, :cut], C[:, :cut], chunk=8)
    right, end = ssd_chunked(x[:, cut:], dt[:, cut:], A, B[:, cut:], C[:, cut:], chunk=8, state=state)
    assert torch.allclose(torch.cat((left, right), 1), whole, atol=1e-10)
    assert torch.allclose(end, last, atol=1e-10)


@pytest.mark.parametrize(("length", "chunk"), [(13, 64), (13, 4), (70, 128)])
def test_gradients_equal_those_of_the_recurrence(length: int, chunk: int) -> None:
    arguments = [t.requires_grad_() for t in inputs(length)]
    weights = torch.randn_like(arguments[0])
    expected = torch.autograd.grad((ssd_sequential(*arguments)[0] * weights).sum(), arguments)
    actual = torch.autograd.grad((ssd(*arguments, chunk=chunk) * weights).sum(), arguments)
    for a, e in zip(actual, expected, strict=True):
        assert torch.allclose(a, e, atol=1e-9)


@pytest.mark.parametrize("length", [1, 6, scan.TABLE_LENGTH + 1])
def test_segment_sum_by_definition(length: int) -> None:
    a = torch.randn(2, length, dtype=torch.float64)
    out = segment_sum(a)
    for i in range(length):
        for j in range(length):
            assert torch.allclose(out[:, i, j], a[:, j + 1 : i + 1].sum(-1))


def test_segment_sum_keeps_small_terms_next_to_large_ones() -> None:
    a = torch.tensor([-1e8, -1e-3, -1e-3])
    assert segment_sum(a)[2, 0] == pytest.approx(-2e-3)


def test_a_strong_decay_forgets_without_nan() -> None:
    x, _, A, B, C = inputs(9)
    dt = torch.full((2, 9, 4), 1e6, dtype=torch.float64, requires_grad=True)
    y = ssd(x, dt, A, B, C, chunk=4)
    y.sum().backward()
    assert y.isfinite().all()
    assert dt.grad is not None
    assert dt.grad.isfinite().all()


def test_the_gpu_kernel_is_refused_on_a_cpu_in_one_line() -> None:
    with pytest.raises(UserError, match="runs on CUDA, not on cpu"):
        ssd(*inputs(4), chunk=4, kernel="mamba-ssm")


@pytest.mark.gpu
def test_mamba_ssm_equals_torch() -> None:
    pytest.importorskip("mamba_ssm")
    arguments = [t.float().cuda() for t in inputs(100, groups=1)]
    torch.testing.assert_close(
        ssd(*arguments, chunk=32, kernel="mamba-ssm"), ssd(*arguments, chunk=32, kernel="torch"), atol=2e-2, rtol=2e-2
    )
