import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from aira_lib.architecture.cost import exact_params
from aira_lib.architecture.primitives import PRIMITIVES
from aira_lib.architecture.primitives.attention import ATTENTION
from aira_lib.architecture.scales import Scale
from aira_lib.errors import UserError
from aira_lib.models.language_model import IGNORE, LanguageModel, parameter_groups
from aira_lib.models.mamba2 import Mamba2

DESIGN = ("Mb", "M", "A", "M")


def scale(**changes: object) -> Scale:
    base: dict[str, object] = {
        "name": "t", "d_model": 16, "n_heads": 4, "n_kv_heads": 2, "head_dim": 4, "d_ff": 24, "d_ssm": 32, "d_state": 6,
        "ssm_head_dim": 8, "n_groups": 2, "seq_len": 32, "vocab_size": 11, "tokens_per_step": 64,
    }  # fmt: skip
    return Scale.model_validate({**base, **changes})


@settings(deadline=None, max_examples=30)
@given(
    layers=st.lists(st.sampled_from(["A", "M", "Mb"]), max_size=5).map(tuple),
    mlp=st.sampled_from(["swiglu", "relu"]),
    tie=st.booleans(),
    kv_heads=st.sampled_from([1, 2, 4]),
    groups=st.sampled_from([1, 2, 4]),
    conv=st.integers(1, 5),
)
def test_parameters_are_those_that_cost_counts(
    layers: tuple[str, ...], mlp: str, tie: bool, kv_heads: int, groups: int, conv: int
) -> None:
    dimensions = scale(mlp=mlp, tie_embeddings=tie, n_kv_heads=kv_heads, n_groups=groups, d_conv=conv)
    model = LanguageModel(layers, dimensions)
    assert sum(p.numel() for p in model.parameters()) == exact_params(layers, dimensions)


def test_logits_do_not_see_the_future() -> None:
    torch.manual_seed(0)
    model = LanguageModel(DESIGN, scale(), init_std=0.3).double()
    tokens = torch.randint(0, 10, (2, 12))
    changed = tokens.clone()
    changed[:, 7] = 10
    difference = (model(changed) - model(tokens)).abs().amax((0, 2))
    assert difference[:7].max() < 1e-12
    assert difference[7:].min() > 1e-9


def test_an_untrained_model_knows_nothing() -> None:
    torch.manual_seed(0)
    tokens = torch.randint(0, 11, (8, 32))
    loss = LanguageModel(DESIGN, scale(), init_std=0.02).loss(tokens, tokens.roll(-1, 1))
    assert loss.item() == pytest.approx(math.log(11), abs=0.05)


def test_ignored_targets_do_not_count() -> None:
    model = LanguageModel(DESIGN, scale())
    tokens = torch.randint(0, 11, (3, 9))
    targets = tokens.clone()
    targets[:, :5] = IGNORE
    log_p = model(tokens).log_softmax(-1).gather(-1, tokens.unsqueeze(-1)).squeeze(-1)
    assert model.loss(tokens, targets).item() == pytest.approx(-log_p[:, 5:].mean().item(), rel=1e-5)


def test_initial_values() -> None:
    torch.manual_seed(0)
    wide = scale(d_model=256, d_ff=512, d_ssm=512, n_heads=4, n_kv_heads=4, head_dim=64, vocab_size=1000)
    model = LanguageModel(DESIGN, wide)
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear | nn.Embedding):
            expected = 256**-0.5 / (2 if name.endswith("mixer.out") else 1)
            assert module.weight.std().item() == pytest.approx(expected, rel=0.05), name
        if isinstance(module, Mamba2):
            assert nn.functional.softplus(module.dt_bias).max() <= 0.1001
            assert module.A_log.min() >= 0


class Theirs(nn.Module):
    """A mixer whose output projection is called as its author likes, beside a Linear named `out` that is none."""

    output_projection: str | None = "last.down"

    def __init__(self, scale: Scale, kernel: str) -> None:
        super().__init__()
        self.out = nn.Linear(scale.d_model, 400)
        self.last = nn.ModuleDict({"down": nn.Linear(400, scale.d_model)})

    def forward(self, x: Tensor) -> Tensor:
        return self.last["down"](self.out(x))  # type: ignore[no-any-return]


def theirs(monkeypatch: pytest.MonkeyPatch, module: Callable[..., nn.Module]) -> LanguageModel:
    monkeypatch.setitem(PRIMITIVES._entries, "Qx", replace(ATTENTION, symbol="Qx", spellings=(), module=module))
    torch.manual_seed(0)
    return LanguageModel(("A", "Qx", "M", "Qx"), scale(d_model=200), init_std=1.0)


def test_a_mixer_names_its_output_projection(monkeypatch: pytest.MonkeyPatch) -> None:
    mixer = theirs(monkeypatch, Theirs).backbone.layers[1].mixer
    assert mixer.out.weight.std().item() == pytest.approx(1.0, rel=0.05)
    assert mixer.last["down"].weight.std().item() == pytest.approx(0.5, rel=0.05)
    monkeypatch.setattr(Theirs, "output_projection", None)
    mixer = theirs(monkeypatch, Theirs).backbone.layers[1].mixer
    assert mixer.last["down"].weight.std().item() == pytest.approx(1.0, rel=0.05)


@pytest.mark.parametrize("named", ["down", "last", 3, ""])
def test_a_mixer_that_names_none_is_one_line(monkeypatch: pytest.MonkeyPatch, named: object) -> None:
    monkeypatch.setattr(Theirs, "output_projection", named)
    line = "primitive 'Qx': its module names no output projection; give it `output_projection`, the name of"
    with pytest.raises(UserError, match=line):
        theirs(monkeypatch, Theirs)
    with pytest.raises(UserError, match=line):
        theirs(monkeypatch, lambda scale, kernel: nn.Identity())


def test_recomputing_activations_changes_nothing() -> None:
    torch.manual_seed(0)
    plain, lean = LanguageModel(DESIGN, scale()), LanguageModel(DESIGN, scale(), recompute=True)
    lean.load_state_dict(plain.state_dict())
    tokens = torch.randint(0, 11, (2, 9))
    for model in (plain, lean):
        model.loss(tokens, tokens).backward()
    for a, b in zip(plain.parameters(), lean.parameters(), strict=True):
        assert torch.allclose(a.grad, b.grad, atol=1e-7)


@pytest.mark.parametrize("tie", [True, False])
def test_weight_decay_reaches_matrices_only(tie: bool) -> None:
    model = LanguageModel(DESIGN, scale(tie_embeddings=tie), head_bias=not tie)
    decayed, spared = parameter_groups(model, 0.1)
    names = {id(p): n for n, p in model.named_parameters()}
    assert (decayed["weight_decay"], spared["weight_decay"]) == (0.1, 0.0)
    expected = {"in_proj", "out", "gate_up", "qkv"} | (set() if tie else {"head"})
    assert {names[id(p)].split(".")[-2] for p in decayed["params"]} == expected
    assert sorted(map(id, [*decayed["params"], *spared["params"]])) == sorted(map(id, model.parameters()))
