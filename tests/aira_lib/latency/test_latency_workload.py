"""What is measured computes what it says, and holds the bytes that formulas say."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from aira_lib.architecture.scales import Scale
from aira_lib.latency import workload
from aira_lib.latency.memory import held, needed
from aira_lib.latency.workload import EMBEDDING, HEAD, NORM, Workload
from aira_lib.models import decoding
from aira_lib.models.language_model import LanguageModel

MIXED = ("A", "Mb", "M", "W")
DESIGNS = [("A", "A"), ("M",), ("Mb", "Mb"), ("W", "M"), MIXED]
DIMENSIONS: dict[str, Any] = {
    "name": "t", "d_model": 16, "n_heads": 4, "n_kv_heads": 2, "head_dim": 4, "d_ff": 24, "d_ssm": 32, "d_state": 6,
    "ssm_head_dim": 8, "n_groups": 2, "seq_len": 12, "vocab_size": 11, "tokens_per_step": 64, "window": 5,
}  # fmt: skip


def load(mode: Any, precision: Any = "fp32", seq_len: int = 12, batch: int = 3, **changes: Any) -> Workload:
    torch.manual_seed(0)
    scale = Scale.model_validate({**DIMENSIONS, **changes})
    return Workload(scale, batch, seq_len, mode, precision, torch.device("cpu"))


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[LanguageModel]:
    """The models that are built, in order."""
    models = list[LanguageModel]()

    def build(*arguments: Any) -> LanguageModel:
        models.append(LanguageModel(*arguments, init_std=0.3))
        return models[-1]

    monkeypatch.setattr(workload, "LanguageModel", build)
    return models


@torch.no_grad()
def test_decoding_gives_the_position_after_the_prompt_of_a_forward_pass(built: list[LanguageModel]) -> None:
    work = load("decode")
    call = work.model(MIXED)
    tokens = torch.cat((work._tokens(12), work._tokens(1)), dim=1)
    assert tokens.shape == (3, 13)
    for _ in range(2):  # a call leaves its caches as they were
        assert torch.allclose(call(), built[0](tokens)[:, 12], atol=1e-5)  # type: ignore[arg-type]


@torch.no_grad()
def test_prefill_gives_the_last_position_of_a_forward_pass(built: list[LanguageModel]) -> None:
    work = load("prefill")
    call = work.model(MIXED)
    assert torch.allclose(call(), built[0](work._tokens(12))[:, -1], atol=1e-5)  # type: ignore[arg-type]


def test_training_has_the_gradients_of_the_loss_and_of_one_call_alone(built: list[LanguageModel]) -> None:
    work = load("train")
    call = work.model(MIXED)
    for _ in range(2):
        loss = call()
    model, tokens = built[0], work._tokens(12)
    mine = {name: each.grad for name, each in model.named_parameters()}
    model.zero_grad()
    expected = model.loss(tokens, tokens)
    expected.backward()  # type: ignore[no-untyped-call]
    assert loss == expected
    for name, each in model.named_parameters():
        assert mine[name] is not None, name
        assert torch.allclose(mine[name], each.grad), name  # type: ignore[arg-type]


@torch.no_grad()
def test_the_parts_of_a_model_are_the_model(built: list[LanguageModel], monkeypatch: pytest.MonkeyPatch) -> None:
    """A model whose parts are called one after the other, as they are measured, gives what it gives as a whole."""
    work = load("prefill")
    model = work._placed(LanguageModel(MIXED, work.scale, init_std=0.3))
    monkeypatch.setattr(workload, "LanguageModel", lambda layers, scale: model)
    layers, x = iter(model.backbone.layers), work.end(EMBEDDING)()
    monkeypatch.setattr(workload, "ResidualLayer", lambda *arguments: next(layers))
    monkeypatch.setattr(Workload, "_features", lambda self, positions: x)
    for kind in MIXED:
        x = work.blocks(kind, 1)()
    x = work.end(NORM)()
    assert torch.allclose(work.end(HEAD)(), work.model(MIXED)(), atol=1e-5)  # type: ignore[arg-type]


@pytest.mark.parametrize("mode", ["prefill", "decode", "train"])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_all_blocks_and_ends_can_be_called_in_every_mode(mode: Any, precision: Any) -> None:
    work = load(mode, precision)
    new = 1 if mode == "decode" else 12
    for kind in MIXED:
        for _ in range(2):
            assert work.blocks(kind, 2)().shape == (3, new, 16)  # type: ignore[attr-defined]
    shapes = {EMBEDDING: (3, new, 16), NORM: (3, new, 16), HEAD: () if mode == "train" else (3, 11)}
    assert {name: tuple(work.end(name)().shape) for name in shapes} == shapes  # type: ignore[attr-defined]
    assert torch.isfinite(work.model(MIXED)()).all()  # type: ignore[arg-type]


def test_a_block_of_a_stack_has_weights_caches_and_activations_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = list[Tensor]()
    real = workload._extended

    def watching(stack: Any, x: Tensor, states: list[Any]) -> Tensor:
        seen.extend([*(layer.mixer.out.weight for layer in stack), *(state.keys for state in states)])
        return real(stack, x, states)

    monkeypatch.setattr(workload, "_extended", watching)
    load("decode").blocks("A", 3)()
    assert len({each.data_ptr() for each in seen}) == len(seen) == 6


# --- memory -----------------------------------------------------------------------------------------------------------


def _bytes(state: Any) -> int:
    return sum(each.numel() * each.element_size() for each in state or () if isinstance(each, Tensor))


@settings(max_examples=25, deadline=None)
@given(
    layers=st.sampled_from(DESIGNS), precision=st.sampled_from(["fp32", "bf16"]), seq_len=st.integers(1, 24),
    window=st.integers(1, 30), batch=st.integers(1, 3), mode=st.sampled_from(["prefill", "decode"]),
)  # fmt: skip
def test_memory_by_formula_is_the_bytes_of_weights_and_states(
    layers: tuple[str, ...], precision: Any, seq_len: int, window: int, batch: int, mode: Any
) -> None:
    work = load(mode, precision, seq_len, batch, window=window)
    with torch.inference_mode():
        model = work._placed(LanguageModel(layers, work.scale))
        states = decoding.prefill(model, work._tokens(seq_len))[1]
    found = held(layers, work)
    assert found.weights == _bytes(list(model.parameters()))
    assert found.key_values == sum(_bytes(s) for kind, s in zip(layers, states, strict=True) if kind in ("A", "W"))
    assert found.states == sum(_bytes(s) for kind, s in zip(layers, states, strict=True) if kind == "Mb")
    assert needed(layers, work) >= sum(found)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_training_has_fp32_weights_and_no_caches(precision: Any) -> None:
    work = load("train", precision)
    model = work._placed(LanguageModel(MIXED, work.scale))
    assert held(MIXED, work) == (_bytes(list(model.parameters())), 0, 0)
    assert needed(MIXED, work) > 2 * held(MIXED, work).weights
