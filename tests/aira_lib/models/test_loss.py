"""The chunked loss against the plain one, and what it makes at most at a time."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from aira_lib.architecture.scales import scale_named
from aira_lib.models import loss
from aira_lib.models.language_model import LanguageModel
from aira_lib.models.loss import IGNORE, loss_sum, token_losses
from tests.live_memory import LiveMemory


def inputs(rows: int, vocabulary: int, bias: bool, dtype: torch.dtype = torch.float64) -> tuple[list[Tensor], Tensor]:
    generator = torch.Generator().manual_seed(rows * vocabulary)
    shapes = [(rows, 7), (vocabulary, 7), *([(vocabulary,)] if bias else [])]
    parts = [torch.randn(*s, generator=generator, dtype=torch.float64).to(dtype).requires_grad_() for s in shapes]
    targets = torch.randint(0, vocabulary, (rows,), generator=generator)
    targets[::4] = IGNORE
    return parts, targets


def plain(parts: list[Tensor], targets: Tensor) -> Tensor:
    logits = F.linear(*parts)
    log_p = logits.log_softmax(-1)
    chosen = log_p.gather(-1, targets.clamp(min=0)[:, None]).squeeze(-1)
    return -(chosen * (targets != IGNORE)).sum()


def ours(parts: list[Tensor], targets: Tensor) -> Tensor:
    features, weight, *bias = parts
    return loss_sum(features, weight, bias[0] if bias else None, targets)


@settings(max_examples=40)
@given(rows=st.integers(1, 30), vocabulary=st.integers(2, 40), at_once=st.integers(1, 400), bias=st.booleans())
def test_chunks_add_up_to_the_plain_loss_and_its_gradients(
    rows: int, vocabulary: int, at_once: int, bias: bool
) -> None:
    parts, targets = inputs(rows, vocabulary, bias)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loss, "CHUNK_BYTES", 8 * at_once)
        patch.setattr(loss, "PIECE", 1 + at_once // 3)
        patch.setattr(loss, "SLICE", 1 + at_once % 9)
        total = ours(parts, targets)
        features, weight, *rest = parts
        each = token_losses(features, weight, rest[0] if rest else None, targets)
        found = torch.autograd.grad(total * 0.3, parts)
    wanted = plain(parts, targets)
    assert total.item() == pytest.approx(wanted.item(), abs=1e-10)
    assert each.sum().item() == pytest.approx(wanted.item(), abs=1e-10)
    assert (each[::4] == 0).all()
    for a, b in zip(found, torch.autograd.grad(wanted * 0.3, parts), strict=True):
        assert torch.allclose(a, b, atol=1e-10)


def test_large_logits_overflow_nothing() -> None:
    parts, targets = inputs(9, 12, bias=False, dtype=torch.float32)
    big = [parts[0].detach() * 1e4, parts[1].detach() * 1e2]
    with torch.no_grad():
        assert ours(big, targets).item() == pytest.approx(plain(big, targets).item(), rel=1e-5)
        big[0][1, 0] = torch.nan
        assert ours(big, targets).isnan()


@pytest.mark.parametrize("way", ["autocast", "bf16"])
def test_bf16_products_are_those_of_the_head(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    parts, targets = inputs(64, 50, bias=False, dtype=torch.bfloat16 if way == "bf16" else torch.float32)
    monkeypatch.setattr(loss, "CHUNK_BYTES", 1000)
    with torch.autocast("cpu", torch.bfloat16, enabled=way == "autocast"):
        total = ours(parts, targets)
        wanted = F.cross_entropy(F.linear(*parts).float(), targets, ignore_index=IGNORE, reduction="sum")
    assert total.dtype == torch.float32
    assert total.item() == pytest.approx(wanted.item(), rel=1e-6)
    for part, a, b in zip(parts, *(torch.autograd.grad(x, parts) for x in (total, wanted)), strict=True):
        assert a.dtype == part.dtype
        assert torch.allclose(a.float(), b.float(), atol=0.02 * b.abs().max().item())


def test_a_second_backward_pass_is_refused() -> None:
    parts, targets = inputs(5, 6, bias=True)
    total = ours(parts, targets)
    total.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="made once"):
        total.backward()


def most_beside_gradients(rows: int, width: int, vocabulary: int) -> int:
    """A bound of what is held beside the features and the gradients of features and head, in bytes, under autocast.

    The head in bf16; a chunk's logits in bf16; two pieces of them in fp32; a slice's product and the chunk's features
    in bf16; a few numbers for each row.
    """
    chunk = loss.CHUNK_BYTES // (2 * vocabulary)
    pieces, product = 2 * 4 * loss.PIECE, 2 * width * loss.SLICE
    return 2 * vocabulary * width + loss.CHUNK_BYTES + pieces + product + 6 * chunk * width + 64 * rows


@pytest.mark.parametrize(("rows", "chunk_bytes"), [(4096, 2**20), (2048, 2**20), (4096, 2**19)])
def test_what_is_held_at_a_time_is_bounded(rows: int, chunk_bytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Measured at a small vocabulary; the same bound holds the paper's sizes below 1 GB, as the next test says."""
    width, vocabulary = 8, 2000
    for name, value in {"CHUNK_BYTES": chunk_bytes, "PIECE": 2**16, "SLICE": 256}.items():
        monkeypatch.setattr(loss, name, value)
    features, weight = torch.randn(rows, width, requires_grad=True), torch.randn(vocabulary, width, requires_grad=True)
    targets = torch.randint(0, vocabulary, (rows,))
    with LiveMemory() as memory, torch.autocast("cpu", torch.bfloat16):
        loss_sum(features, weight, None, targets).backward()
    gradients = 4 * width * (rows + vocabulary)
    assert memory.most - gradients <= most_beside_gradients(rows, width, vocabulary)
    assert memory.largest <= chunk_bytes
    with LiveMemory() as whole, torch.autocast("cpu", torch.bfloat16):
        F.cross_entropy(F.linear(features, weight).float(), targets).backward()
    assert whole.most > 10 * memory.most


@pytest.mark.parametrize("name", ["350M", "1B"])
def test_the_papers_sizes_stay_below_a_gigabyte(name: str) -> None:
    scale = scale_named(name, 3)
    assert most_beside_gradients(4 * scale.seq_len, scale.d_model, scale.vocab_size) < 1e9


def test_small_vocabularies_keep_whole_logits_and_large_ones_never_make_them(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    model, tokens = LanguageModel(("A", "M"), scale_named("nano", 3), kernel="torch"), torch.randint(0, 256, (3, 40))
    targets = tokens.roll(-1, 1)
    targets[0, :9] = IGNORE
    whole = model.loss(tokens, targets)
    assert torch.equal(whole, F.cross_entropy(model(tokens).flatten(0, 1), targets.flatten(), ignore_index=IGNORE))
    gradients = torch.autograd.grad(whole, list(model.parameters()))
    monkeypatch.setattr(loss, "WHOLE", 5000)
    monkeypatch.setattr(loss, "CHUNK_BYTES", 20_000)
    with LiveMemory() as memory:
        chunked = model.loss(tokens, targets)
        found = torch.autograd.grad(chunked, list(model.parameters()))
    assert memory.largest < tokens.numel() * 256 * 4
    assert chunked.item() == pytest.approx(whole.item(), abs=1e-6)
    for a, b in zip(found, gradients, strict=True):
        assert torch.allclose(a, b, atol=1e-6)


@pytest.mark.parametrize("at_once", [5000, 2**26])
def test_sums_and_counts_weigh_micro_batches_by_their_tokens(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loss, "WHOLE", at_once)
    monkeypatch.setattr(loss, "CHUNK_BYTES", at_once)
    model, tokens = LanguageModel(("A",), scale_named("nano", 3), kernel="torch"), torch.randint(0, 256, (4, 30))
    targets = tokens.roll(-1, 1)
    targets[0], targets[1, :25] = IGNORE, IGNORE
    parts = [model.loss_sum(x, y) for x, y in zip(tokens.split(1), targets.split(1), strict=True)]
    assert [int(count) for _, count in parts] == [0, 5, 30, 30]
    assert parts[0][0].item() == 0
    total = sum(part for part, _ in parts) / 65
    assert total.item() == pytest.approx(model.loss(tokens, targets).item(), abs=1e-6)
    each = model.token_losses(tokens, targets)
    assert each.shape == targets.shape
    assert not each.requires_grad
    assert each.sum().item() / 65 == pytest.approx(total.item(), abs=1e-6)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_the_350m_scales_loss_stays_below_a_gigabyte_on_a_gpu() -> None:
    """Above what there is anyway: features, head, and the gradients of both."""
    scale = scale_named("350M", 3)
    weight = torch.randn(scale.vocab_size, scale.d_model, device="cuda", requires_grad=True)
    features = torch.randn(4 * scale.seq_len, scale.d_model, device="cuda", dtype=torch.bfloat16, requires_grad=True)
    targets = torch.randint(0, scale.vocab_size, (len(features),), device="cuda")
    gradients = weight.nbytes + features.nbytes
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    with torch.autocast("cuda", torch.bfloat16):
        loss_sum(features, weight, None, targets).backward()
    assert torch.cuda.max_memory_allocated() - before - gradients < 1e9
