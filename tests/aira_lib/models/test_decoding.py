"""Decoding from kept states against forward passes over the whole."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from aira_lib.architecture.primitives import PRIMITIVES
from aira_lib.architecture.primitives.attention import ATTENTION
from aira_lib.architecture.scales import Scale
from aira_lib.errors import UserError
from aira_lib.models.decoding import extend, generate, prefill, step
from aira_lib.models.language_model import LanguageModel

DESIGN = ("A", "Mb", "M", "W")


def model_of(layers: tuple[str, ...], kernel: str = "auto", **changes: object) -> LanguageModel:
    base: dict[str, object] = {
        "name": "t", "d_model": 16, "n_heads": 4, "n_kv_heads": 2, "head_dim": 4, "d_ff": 24, "d_ssm": 32, "d_state": 6,
        "ssm_head_dim": 8, "n_groups": 2, "seq_len": 32, "vocab_size": 11, "tokens_per_step": 64,
    }  # fmt: skip
    torch.manual_seed(0)
    return LanguageModel(layers, Scale.model_validate({**base, **changes}), kernel=kernel, init_std=0.3)


@settings(max_examples=25)
@given(
    layers=st.sampled_from([("A", "A"), ("M",), ("Mb", "Mb"), ("W", "W"), DESIGN]),
    pieces=st.lists(st.integers(1, 40), min_size=1, max_size=6),
    window=st.integers(1, 50),
    conv=st.integers(1, 5),
)
@torch.no_grad()
def test_pieces_give_the_logits_of_the_whole(
    layers: tuple[str, ...], pieces: list[int], window: int, conv: int
) -> None:
    model, states, logits = model_of(layers, "torch", window=window, d_conv=conv), None, []
    tokens = torch.randint(0, 11, (3, sum(pieces)), generator=torch.Generator().manual_seed(len(pieces)))
    for part in tokens.split(pieces, dim=1):
        made, states = extend(model, part, states)
        logits.append(made)
    assert torch.allclose(torch.cat(logits, dim=1), model(tokens), atol=1e-5)


@torch.no_grad()
def test_a_prompt_and_single_steps_give_the_logits_of_the_whole() -> None:
    model, tokens = model_of(DESIGN, window=6), torch.randint(0, 11, (2, 60))
    whole = model(tokens)
    logits, states = prefill(model, tokens[:, :37])
    assert torch.allclose(logits, whole[:, 36], atol=1e-5)
    for t in range(37, 60):
        logits, states = step(model, tokens[:, t], states)
        assert torch.allclose(logits, whole[:, t], atol=1e-5)


@torch.no_grad()
def test_what_is_kept_is_bounded_but_for_full_attention() -> None:
    model, states = model_of(("A", "Mb", "W"), window=6), None
    sizes = []
    for _ in range(12):
        _, states = extend(model, torch.zeros(1, 3, dtype=torch.long), states)
        held = [[x.untyped_storage() for x in state if isinstance(x, torch.Tensor)] for state in states]
        sizes.append([sum({x.data_ptr(): x.nbytes() for x in layer}.values()) for layer in held])
    full, mamba, window = zip(*sizes, strict=True)
    assert [size / full[0] for size in full] == list(range(1, 13))
    assert len(set(mamba)) == 1
    assert set(window[2:]) == {4 * 2 * 5 * 2 * 4}  # keys and values of 5 positions, 2 heads of 4, in fp32


def test_greedy_generation_is_the_likeliest_token_of_forward_passes() -> None:
    model, tokens = model_of(DESIGN, window=5), torch.randint(0, 11, (2, 7))
    made = generate(model, tokens, 9, temperature=0)
    for _ in range(9):
        tokens = torch.cat((tokens, model(tokens)[:, -1].argmax(-1, keepdim=True)), dim=1)
    assert torch.equal(made, tokens[:, 7:])
    assert generate(model, tokens, 0).shape == (2, 0)


def test_draws_follow_seed_and_top_k() -> None:
    model, prompt = model_of(("Mb", "A")), torch.randint(0, 11, (64, 3))
    one, same, other = (generate(model, prompt, 4, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    first = generate(model, prompt, 1, top_k=2, seed=3)
    likeliest = model(prompt)[:, -1].topk(2).indices
    assert (first == likeliest).any(1).all()
    assert {int(rank) for rank in (first == likeliest).float().argmax(1)} == {0, 1}
    cold = generate(model, prompt, 1, temperature=1e-4)
    assert torch.equal(cold[:, 0], likeliest[:, 0])


@pytest.mark.parametrize(("length", "settings"), [(0, {}), (2, {"temperature": -1}), (2, {"top_k": 0})])
def test_what_cannot_be_drawn_is_refused(length: int, settings: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="there must be a token"):
        generate(model_of(("A",)), torch.zeros(1, length, dtype=torch.long), 2, **settings)  # type: ignore[arg-type]


class Sums(nn.Module):
    output_projection = None

    def __init__(self, scale: Scale, kernel: str) -> None:
        super().__init__()

    def forward(self, x: Tensor) -> Tensor:
        return x.cumsum(1)


def test_a_layer_that_cannot_decode_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PRIMITIVES._entries, "Qx", replace(ATTENTION, symbol="Qx", spellings=(), module=Sums))
    with pytest.raises(UserError, match="primitive 'Qx' cannot decode: its module has no method `extend`"):
        generate(model_of(("A", "Qx")), torch.zeros(1, 2, dtype=torch.long), 1)
