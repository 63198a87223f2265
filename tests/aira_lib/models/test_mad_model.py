"""The models of the MAD tasks: a twin of mad-lab's autoencoder written from its definition, and initial values."""

import math

import pytest
import torch
from torch import Tensor, nn

from aira_lib.architecture.scales import Scale
from aira_lib.models.language_model import LanguageModel
from aira_lib.models.mad_model import AutoEncoder, mad_model, sine_cosine_table

DESIGN = ("A", "M", "A", "M")


def scale(**changes: object) -> Scale:
    base: dict[str, object] = {
        "name": "t", "d_model": 16, "n_heads": 2, "n_kv_heads": 2, "head_dim": 8, "d_ff": 24, "mlp": "relu",
        "d_ssm": 32, "d_state": 6, "ssm_head_dim": 8, "seq_len": 12, "vocab_size": 11, "tokens_per_step": 64,
    }  # fmt: skip
    return Scale.model_validate({**base, **changes})


def shaken(model: nn.Module) -> nn.Module:
    """With norms and biases that matter: they start from 1 and 0."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return model


# --- the twin ---------------------------------------------------------------------------------------------------------


def normed(x: Tensor, weight: Tensor) -> Tensor:
    return x / torch.sqrt((x * x).mean(-1, keepdim=True) + 1e-5) * weight


def gelu(x: Tensor) -> Tensor:
    return x * (1 + torch.erf(x / math.sqrt(2))) / 2


def attended(x: Tensor, qkv: Tensor, out: Tensor, heads: int, theta: float) -> Tensor:
    """Causal attention with rotary pairs of neighbours, a query at a time."""
    batch, length, d = x.shape
    size = d // heads
    q, k, v = ((x @ part.T).view(batch, length, heads, size) for part in qkv.split(d))
    turned = []
    for each in (q, k):
        copy = each.clone()
        for t in range(length):
            for j in range(0, size, 2):
                angle = t * theta ** (-j / size)
                a, b = each[:, t, :, j], each[:, t, :, j + 1]
                copy[:, t, :, j] = a * math.cos(angle) - b * math.sin(angle)
                copy[:, t, :, j + 1] = a * math.sin(angle) + b * math.cos(angle)
        turned.append(copy)
    q, k = turned
    mixed = torch.zeros_like(v)
    for t in range(length):
        for h in range(heads):
            scores = (k[:, : t + 1, h] @ q[:, t, h, :, None])[..., 0] / math.sqrt(size)
            mixed[:, t, h] = (torch.softmax(scores, -1)[:, None] @ v[:, : t + 1, h])[:, 0]
    return mixed.reshape(batch, length, d) @ out.T


def place(t: int, d: int) -> list[float]:
    half = d // 2
    angles = [t / math.exp(math.log(10_000) * i / (half - 1)) for i in range(half)]
    return [math.sin(angle) for angle in angles] + [math.cos(angle) for angle in angles]


def twin(w: dict[str, Tensor], layers: tuple[str, ...], at: Scale, tokens: Tensor) -> Tensor:
    """Logits of mad-lab's autoencoder around the paper's layers, from weights by name."""
    x = w["encoder.embedding.weight"][tokens]
    for i, layer in enumerate(layers):
        prefix = f"encoder.layers.{i}."
        own = {name.removeprefix(prefix): value for name, value in w.items() if name.startswith(prefix)}
        inner = normed(x, own["norm.weight"])
        if layer == "A":
            x = x + attended(inner, own["mixer.qkv.weight"], own["mixer.out.weight"], at.n_heads, at.rope_theta)
        else:
            x = x + torch.clamp(inner @ own["mixer.up.weight"].T, min=0) @ own["mixer.out.weight"].T
    places = torch.tensor([place(t, at.d_model) for t in range(tokens.shape[1])], dtype=x.dtype)
    x = x[:, -1][:, None, :] + places
    for norm, linear in ((0, 1), (3, 4)):
        x = normed(x, w[f"decoder.{norm}.weight"])
        x = gelu(x @ w[f"decoder.{linear}.weight"].T + w[f"decoder.{linear}.bias"])
    return normed(x, w["norm.weight"]) @ w["head.weight"].T + w["head.bias"]


@pytest.mark.parametrize("layers", [(), ("M",), DESIGN])
def test_the_autoencoder_is_its_twin(layers: tuple[str, ...]) -> None:
    torch.manual_seed(0)
    model = shaken(mad_model("compression", layers, scale())).double()
    # Positions are kept in fp32: the twin's own are exact.
    tokens = torch.randint(0, 11, (3, 12))
    expected = twin(dict(model.state_dict()), layers, scale(), tokens)
    assert torch.allclose(model(tokens), expected, atol=3e-6, rtol=0)


def test_the_twin_has_all_parameters() -> None:
    """Nothing of the model is left out of the comparison, and nothing is there that the twin does not have."""
    model = mad_model("compression", ("M",), scale())
    assert sum(p.numel() for p in model.parameters()) == (
        11 * 16 + (16 + 2 * 16 * 24) + 2 * (16 + 16 * 16 + 16) + 16 + (16 * 11 + 11)
    )


@pytest.mark.filterwarnings("error")
def test_the_autoencoder_trains_in_bf16_on_plain_kernels() -> None:
    """Behind its decoder's linear layers norms read bf16, which no norm of a language model does."""
    torch.manual_seed(0)
    model, tokens = mad_model("compression", ("A", "M"), scale(), kernel="torch"), torch.randint(0, 11, (4, 12))
    exact = model.loss(tokens, tokens)
    with torch.autocast("cpu", torch.bfloat16):
        loss = model.loss(tokens, tokens)
    loss.backward()
    assert loss.item() == pytest.approx(exact.item(), rel=0.01)


# --- what is around it ------------------------------------------------------------------------------------------------


def test_the_autoencoder_decodes_from_the_last_position_alone() -> None:
    torch.manual_seed(0)
    model = shaken(mad_model("compression", ("M",), scale()))
    assert isinstance(model, AutoEncoder)
    tokens = torch.randint(0, 11, (2, 9))
    changed = tokens.clone()
    changed[:, :-1] = (changed[:, :-1] + 1) % 11
    assert torch.equal(model(tokens), model(changed))  # an MLP carries nothing to the last position
    changed[:, -1] = (changed[:, -1] + 1) % 11
    assert (model(tokens) - model(changed)).abs().amax((0, 2)).min() > 1e-6
    assert not torch.allclose(model(tokens)[:, 0], model(tokens)[:, 1])


@pytest.mark.parametrize("d_model", [2, 7, 8, 128])
def test_positions_are_sines_then_cosines(d_model: int) -> None:
    table, half = sine_cosine_table(40, d_model), d_model // 2
    assert table.shape == (40, d_model)
    for t in (0, 1, 39):
        expected = place(t, d_model) if half > 1 else [math.sin(t), math.cos(t)]
        assert table[t, : 2 * half].tolist() == pytest.approx(expected, abs=2e-6)
        assert not table[t, 2 * half :].any()


def test_mad_models_untie_and_bias_the_head() -> None:
    model = mad_model("memorization", ("A",), scale(tie_embeddings=True))
    assert isinstance(model, LanguageModel)
    assert model.head.bias is not None
    assert model.head.weight is not model.backbone.embedding.weight


WIDE = scale(d_model=256, d_ff=512, d_ssm=512, n_heads=4, n_kv_heads=4, head_dim=64, vocab_size=1000)


def test_the_autoencoder_starts_from_small_normal_matrices_at_any_depth() -> None:
    torch.manual_seed(0)
    for name, part in mad_model("compression", ("Mb", "M", "A", "M"), WIDE).named_modules():
        if isinstance(part, nn.Linear | nn.Embedding):
            assert part.weight.std().item() == pytest.approx(0.02, rel=0.05), name
            assert part.weight.abs().max() > 3 * 0.02, name  # not cut off, not uniform
        if isinstance(part, nn.Linear) and part.bias is not None:
            assert not part.bias.any(), name


def test_the_language_model_starts_with_small_embeddings_and_pytorchs_matrices() -> None:
    torch.manual_seed(0)
    for name, part in mad_model("in-context-recall", ("Mb", "M", "A", "M"), WIDE).named_modules():
        if isinstance(part, nn.Embedding):
            assert part.weight.std().item() == pytest.approx(0.02, rel=0.05)
        if isinstance(part, nn.Linear):
            bound = part.in_features**-0.5
            assert 0.95 * bound < part.weight.abs().max() <= bound, name
            assert part.weight.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.05), name
            assert part.bias is None or not part.bias.any(), name
