import itertools
import sys
import types
from typing import Literal

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from aira_lib.device import CUDA_SCANS, ImportProblem, import_problem
from aira_lib.errors import MissingDependency, UserError
from aira_lib.models import scan
from aira_lib.models.scan import Kernel, segment_sum, ssd, ssd_chunked, ssd_sequential


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


@settings(deadline=None, max_examples=30)
@given(length=st.integers(1, 40), chunk=st.integers(1, 48), seed=st.integers(0, 99))
def test_the_state_is_forgotten_where_a_document_starts(length: int, chunk: int, seed: int) -> None:
    x, dt, A, B, C = inputs(length, seed=seed)
    starts = torch.rand(2, length, generator=torch.Generator().manual_seed(seed)) < 0.2
    y = ssd(x, dt, A, B, C, chunk=chunk, starts=starts)
    for row in range(2):
        borders = [0, *(starts[row, 1:].nonzero().flatten() + 1).tolist(), length]
        for first, last in itertools.pairwise(borders):
            part = slice(first, last)
            alone, _ = ssd_sequential(*(t[row : row + 1, part] if t.dim() > 1 else t for t in (x, dt, A, B, C)))
            assert torch.allclose(y[row, part], alone[0], atol=1e-10)


def simple_gla(q: Tensor, k: Tensor, v: Tensor, g: Tensor, scale: float) -> tuple[Tensor, None]:
    """What fla-core's `chunk_simple_gla` computes, a position at a time: S = exp(g) S + k v^T, o = scale S^T q."""
    assert q.shape == k.shape
    assert q.dtype == k.dtype == v.dtype
    state, outputs = torch.zeros(*k[:, 0].shape, v.shape[-1], dtype=g.dtype), []
    for t in range(q.shape[1]):
        state = g[:, t].exp()[..., None, None] * state + k[:, t, ..., None] * v[:, t, :, None]
        outputs.append(scale * torch.einsum("bhk,bhkv->bhv", q[:, t].to(state), state))
    return torch.stack(outputs, 1).to(q.dtype), None


@pytest.fixture
def fla(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("fla", "fla.ops", "fla.ops.simple_gla"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setattr(sys.modules["fla.ops.simple_gla"], "chunk_simple_gla", simple_gla, raising=False)


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_the_scan_is_a_simple_gated_linear_attention(fla: None, groups: int) -> None:
    arguments = [t.requires_grad_() for t in inputs(23, groups=groups)]
    ours, right = scan.ssd_by_fla(*arguments, chunk=8), ssd_sequential(*arguments)[0]
    assert torch.allclose(ours, right, atol=1e-10)
    weights = torch.randn_like(ours)
    found, wanted = (torch.autograd.grad((y * weights).sum(), arguments) for y in (ours, right))
    for a, b in zip(found, wanted, strict=True):
        assert torch.allclose(a, b, atol=1e-9)


def test_bf16_enters_it_with_fp32_decays(fla: None) -> None:
    x, dt, A, B, C = (t.float() for t in inputs(23))
    narrow = scan.ssd_by_fla(x.bfloat16(), dt, A, B.bfloat16(), C.bfloat16(), chunk=8)
    assert narrow.dtype == torch.bfloat16
    wide = ssd_sequential(x, dt, A, B, C)[0]
    assert (narrow - wide).norm() < 0.02 * wide.norm()


@pytest.mark.parametrize("kernel", ["fla", "mamba-ssm"])
def test_the_gpu_kernels_are_refused_on_a_cpu_in_one_line(kernel: Kernel) -> None:
    with pytest.raises(UserError, match=f"kernel '{kernel}' runs on CUDA, not on cpu"):
        ssd(*inputs(4), chunk=4, kernel=kernel)


def test_a_gpu_kernel_that_is_asked_for_and_cannot_be_imported_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    problems = {"fla": ImportProblem(True, "not installed"), "mamba_ssm": ImportProblem(False, "no nvcc was here")}
    monkeypatch.setattr(scan, "import_problem", lambda target: problems[target.partition(".")[0]])
    with pytest.raises(MissingDependency, match=r"kernel 'fla' needs packages .*\[gpu\]"):
        scan._gpu_scan("fla", torch.device("cuda"))
    with pytest.raises(
        UserError, match=r"kernel 'mamba-ssm' cannot be imported \(no nvcc was here\): use kernel 'auto'"
    ):
        scan._gpu_scan("mamba-ssm", torch.device("cuda"))


def test_what_is_fastest_is_what_the_device_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan, "kernels", lambda kind: "fla" if kind == "cuda" else "fused")
    assert scan._gpu_scan("auto", torch.device("cuda:1")) == "fla"
    assert scan._gpu_scan("auto", torch.device("cpu")) == "torch"
    assert scan._gpu_scan("torch", torch.device("cuda")) == "torch"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("kernel", ["fla", "mamba-ssm"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_gpu_kernels_equal_torch_both_ways(kernel: Literal["fla", "mamba-ssm"], dtype: torch.dtype) -> None:
    if problem := import_problem(CUDA_SCANS[kernel]):
        pytest.skip(problem.words)
    x, dt, A, B, C = (t.float().cuda() for t in gpu_inputs())
    arguments = [x.to(dtype), dt, A, B.to(dtype), C.to(dtype)]
    found, right = ([t.detach().requires_grad_() for t in arguments] for _ in range(2))
    ours, wanted = ssd(*found, chunk=64, kernel=kernel), ssd(*right, chunk=64, kernel="torch")
    weights = torch.randn_like(wanted)
    (ours * weights).sum().backward()
    (wanted * weights).sum().backward()
    for a, b in [(ours, wanted), *((a.grad, b.grad) for a, b in zip(found, right, strict=True))]:
        assert (a.float() - b.float()).norm() < 2e-2 * b.float().norm()


def gpu_inputs() -> list[Tensor]:
    """Sizes that the kernels' tiles take: heads of 64, a state of 128."""
    generator = torch.Generator().manual_seed(0)
    x, B, C = (torch.randn(2, 300, *s, generator=generator) for s in ((4, 64), (1, 128), (1, 128)))
    dt, A = torch.rand(2, 300, 4, generator=generator) * 0.1, -torch.rand(4, generator=generator) * 16
    return [x, dt, A, B, C]
