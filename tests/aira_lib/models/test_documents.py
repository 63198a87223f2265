"""Packed rows whose documents are kept apart: each position has the logits that its document has alone."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from aira_lib.architecture.primitives import PRIMITIVES
from aira_lib.architecture.primitives.attention import ATTENTION
from aira_lib.architecture.scales import Scale
from aira_lib.errors import UserError
from aira_lib.models.language_model import LanguageModel
from aira_lib.models.loss import IGNORE

DESIGN = ("Mb", "W", "M", "A")
LENGTHS = st.lists(st.integers(1, 45), min_size=1, max_size=5)


def scale(**changes: object) -> Scale:
    base: dict[str, object] = {
        "name": "t", "d_model": 16, "n_heads": 4, "n_kv_heads": 2, "head_dim": 4, "d_ff": 24, "d_ssm": 32, "d_state": 6,
        "ssm_head_dim": 8, "n_groups": 2, "seq_len": 32, "vocab_size": 11, "tokens_per_step": 64,
    }  # fmt: skip
    return Scale.model_validate({**base, **changes})


def model_of(layers: tuple[str, ...], **changes: object) -> LanguageModel:
    torch.manual_seed(0)
    return LanguageModel(layers, scale(**changes), init_std=0.3).double()


def packed(lengths: list[int], seed: int) -> tuple[Tensor, Tensor]:
    """Two rows of the same documents' lengths and other tokens, and the index of each position's document."""
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randint(0, 11, (2, sum(lengths)), generator=generator)
    index = torch.repeat_interleave(torch.arange(len(lengths)), torch.tensor(lengths))
    return tokens, index.to(torch.int32).expand(2, -1)


@settings(max_examples=25)
@given(lengths=LENGTHS, layer=st.sampled_from([*DESIGN, "all"]), window=st.integers(1, 20), seed=st.integers(0, 99))
def test_a_packed_row_has_the_logits_of_each_document_alone(
    lengths: list[int], layer: str, window: int, seed: int
) -> None:
    model = model_of(DESIGN if layer == "all" else (layer, layer), window=window, d_conv=1 + seed % 5)
    tokens, index = packed(lengths, seed)
    with torch.no_grad():
        alone = torch.cat([model(part) for part in tokens.split(lengths, dim=1)], dim=1)
        assert torch.allclose(model(tokens, index), alone, atol=1e-10)


def test_rows_may_be_packed_differently() -> None:
    model = model_of(DESIGN, window=4)
    tokens = torch.randint(0, 11, (2, 40))
    index = torch.stack([torch.arange(40) // 7, torch.arange(40) // 15])
    apart = model(tokens, index)
    for row, size in enumerate((7, 15)):
        alone = [model(part[None]) for part in tokens[row].split(size)]
        assert torch.allclose(apart[row], torch.cat(alone, 1)[0], atol=1e-10)


@pytest.mark.parametrize("recompute", [False, True])
def test_the_gradient_is_that_of_the_documents_alone(recompute: bool) -> None:
    model, (tokens, index) = model_of(DESIGN, window=5), packed([9, 1, 30, 14], 1)
    model.backbone.recompute = recompute
    targets = tokens.roll(-1, 1)
    targets[:, 3:5] = IGNORE
    weights = list(model.parameters())
    ours = torch.autograd.grad(model.loss(tokens, targets, index), weights)
    parts = zip(tokens.split([9, 1, 30, 14], 1), targets.split([9, 1, 30, 14], 1), strict=True)
    total, counts = zip(*(model.loss_sum(x, y) for x, y in parts), strict=True)
    right = torch.autograd.grad(sum(total) / sum(counts), weights)
    for a, b in zip(ours, right, strict=True):
        assert torch.allclose(a, b, atol=1e-10)


def test_without_documents_rows_attend_across() -> None:
    model, (tokens, index) = model_of(DESIGN), packed([9, 12], 2)
    difference = (model(tokens) - model(tokens, index)).abs().amax((0, 2))
    assert difference[:9].max() < 1e-10
    assert difference[9:].min() > 1e-6


def test_one_document_is_the_plain_row() -> None:
    model, (tokens, index) = model_of(DESIGN, window=3), packed([37], 3)
    assert torch.allclose(model(tokens), model(tokens, index), atol=1e-12)


@pytest.mark.parametrize("kernel", ["auto", "torch"])
def test_fused_kernels_leave_packed_rows_to_plain_pytorch(kernel: str) -> None:
    torch.manual_seed(0)
    model, (tokens, index) = LanguageModel(DESIGN, scale(), kernel=kernel), packed([20, 12], 4)
    alone = torch.cat([model(part) for part in tokens.split([20, 12], 1)], 1)
    assert torch.allclose(model(tokens, index), alone, atol=1e-5)


def test_a_layer_that_cannot_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PRIMITIVES._entries, "Qx", replace(ATTENTION, symbol="Qx", spellings=(), documents=False))
    PRIMITIVES.require_documents(("A", "M", "Mb", "W"))
    with pytest.raises(UserError, match="primitive 'Qx' does not keep documents apart: let them attend across"):
        PRIMITIVES.require_documents(("A", "Qx"))
    tokens, index = packed([5, 4], 5)
    model = LanguageModel(("M", "Qx"), scale())
    model(tokens)
    with pytest.raises(UserError, match="primitive 'Qx'"):
        model(tokens, index)
