"""The program that agents start from: its model against its definition, its optimizer against NumPy, its training."""

import importlib.util
import itertools
import json
import math
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from safetensors.torch import load_file  # noqa: E402

import aira_lib  # noqa: E402
from aira_lib.autoresearch.prepare.profiles import PROFILES, profile_of  # noqa: E402
from aira_lib.tasks.programs.training import said_of  # noqa: E402

BASELINE = Path(aira_lib.__file__).parent / "autoresearch/baseline.py"
LENGTH, VOCABULARY = 16, 40


def baseline(profile: str, **settings: object) -> ModuleType:
    """The program as a module, in the current folder, which needs a run.json."""
    told = {"profile": profile, "vocabulary": VOCABULARY, "length": LENGTH, "budget_seconds": 10, "clock": "wall"}
    Path("run.json").write_text(json.dumps({"seed": 3, "settings": told | settings}))
    spec = importlib.util.spec_from_file_location("baseline_of_autoresearch", BASELINE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.chdir(tmp_path)
    return baseline("cpu")


def filled(model: "torch.nn.Module") -> "torch.nn.Module":
    """The model with no matrix at zero, so that every part has a say."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 2:
                parameter.copy_(0.3 * torch.randn(parameter.shape, generator=generator))
    return model.eval()


def tokens(rows: int, seed: int = 0) -> "torch.Tensor":
    return torch.randint(VOCABULARY, (rows, LENGTH), generator=torch.Generator().manual_seed(seed))


def test_to_import_it_trains_nothing(program: ModuleType, tmp_path: Path) -> None:
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]


def test_logits_have_their_shape_and_bound(program: ModuleType) -> None:
    logits = filled(program.build_model())(tokens(3))
    assert (logits.shape, logits.dtype) == ((3, LENGTH, VOCABULARY), torch.float32)
    assert logits.abs().max() <= 15
    assert logits.abs().max() > 5  # the cap is reached, or nearly


def test_no_place_depends_on_what_comes_after(program: ModuleType) -> None:
    model, first, second = filled(program.build_model()), tokens(4), tokens(4, 1)
    for place in (1, 7, LENGTH - 1):
        mixed = torch.cat((first[:, :place], second[:, place:]), dim=1)
        before, after = model(first), model(mixed)
        torch.testing.assert_close(before[:, :place], after[:, :place])
        assert not torch.allclose(before[:, place:], after[:, place:], atol=1e-2)


def test_rows_do_not_depend_on_each_other(program: ModuleType) -> None:
    model, asked = filled(program.build_model()), tokens(4)
    torch.testing.assert_close(model(asked)[2:3], model(asked[2:3]))


@pytest.mark.parametrize(("length", "window"), [(5, 2), (7, 3), (4, 4)])
def test_a_window_is_a_place_and_those_right_before(program: ModuleType, length: int, window: int) -> None:
    mask = program.window_mask(length, window, torch.device("cpu"))
    expected = [[0 <= i - j <= window for j in range(length)] for i in range(length)]
    assert mask.tolist() == expected


def test_short_windows_see_half_and_the_last_layer_all(program: ModuleType) -> None:
    assert program.window_sizes() == [LENGTH // 2] * 3 + [LENGTH]
    program.DEPTH, program.WINDOW_PATTERN = 5, "LS"
    assert program.window_sizes() == [LENGTH, LENGTH // 2, LENGTH, LENGTH // 2, LENGTH]
    program.WINDOW_PATTERN = "S"
    assert program.window_sizes()[-1] == LENGTH


def test_a_short_window_hides_what_lies_further_back(program: ModuleType) -> None:
    attention = filled(program.Attention(0, 128))
    x = torch.randn(1, LENGTH, 128, generator=torch.Generator().manual_seed(0))
    other = x.clone()
    other[:, 0] += 1.0
    turns = program.rotations(LENGTH, x.device)
    mask = program.window_mask(LENGTH, 4, x.device)
    one, two = (attention(each, None, turns, mask) for each in (x, other))
    torch.testing.assert_close(one[:, 5:], two[:, 5:])
    assert not torch.allclose(one[:, 4], two[:, 4])


def test_attention_knows_distances_and_not_places(program: ModuleType) -> None:
    """Rotary embeddings: the same row a place later gives the same, a place later."""
    attention = filled(program.Attention(0, 128))
    x = torch.randn(1, LENGTH, 128, generator=torch.Generator().manual_seed(0))
    cos, sin = program.rotations(2 * LENGTH, x.device)
    out = [attention(x, None, (cos[:, at : at + LENGTH], sin[:, at : at + LENGTH]), None) for at in (0, 9)]
    torch.testing.assert_close(out[0], out[1], atol=1e-4, rtol=1e-4)
    assert not torch.allclose(out[0], attention(x, None, (cos[:, :1], sin[:, :1]), None), atol=1e-2)


def test_value_embeddings_stand_on_alternating_layers_the_last_included(program: ModuleType) -> None:
    assert set(program.build_model().value_embeds) == {"1", "3"}
    program.DEPTH = 5
    assert set(program.build_model().value_embeds) == {"0", "2", "4"}


def test_a_model_begins_as_said(program: ModuleType) -> None:
    torch.manual_seed(0)
    program.VOCAB_SIZE = 4_096
    model = program.build_model()
    state = model.state_dict()
    bound = math.sqrt(3 / 128)
    for name, value in state.items():
        if name.endswith(("out.weight", "down.weight", "gate.weight")):
            assert not value.any()
        elif name.startswith(("attention", "mlp", "value")):
            assert 0.98 * bound < value.abs().max() <= bound
            assert value.std().item() == pytest.approx(128**-0.5, rel=0.03)
    assert state["wte.weight"].std().item() == pytest.approx(1, rel=0.01)
    assert state["lm_head.weight"].std().item() == pytest.approx(0.001, rel=0.01)
    assert state["resid_lambdas"].tolist() == [1.0] * 4
    assert state["x0_lambdas"].tolist() == pytest.approx([0.1] * 4)


def muon_by_numpy(weights, gradients, coefficients, lr, decay, momenta, beta2=0.95):
    """Steps of Muon on one matrix in float64, written from the papers; the weights after each."""
    momentum_buffer = np.zeros_like(weights)
    rows, columns = weights.shape
    second = np.zeros(rows if rows >= columns else columns)
    out = []
    for gradient, momentum in zip(gradients, momenta, strict=True):
        momentum_buffer = momentum * momentum_buffer + (1 - momentum) * gradient
        x = (1 - momentum) * gradient + momentum * momentum_buffer
        x = x / (np.sqrt((x**2).sum()) * 1.02 + 1e-6)
        for a, b, c in coefficients:  # an odd polynomial of each singular value
            u, s, v = np.linalg.svd(x, full_matrices=False)
            x = u @ np.diag(a * s + b * s**3 + c * s**5) @ v
        along = 1 if rows >= columns else 0
        second = beta2 * second + (1 - beta2) * (x**2).mean(axis=along)
        scale = 1 / np.sqrt(np.maximum(second, 1e-10))
        y = x * (scale[:, None] if along == 1 else scale[None, :])
        y *= np.linalg.norm(x) / np.linalg.norm(y)
        rate = lr * math.sqrt(max(1, rows / columns))
        weights = weights - rate * y - rate * decay * np.where(np.sign(y) * np.sign(weights) >= 0, weights, 0)
        out.append(weights)
    return out


@pytest.mark.parametrize("shape", [(6, 6), (12, 5), (4, 16)])
def test_muon_is_what_numpy_computes(program: ModuleType, shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    begun = [rng.normal(size=shape) for _ in range(2)]
    gradients, momenta = rng.normal(size=(4, 2, *shape)), [0.85, 0.9, 0.92, 0.95]
    parameters = [torch.nn.Parameter(torch.tensor(each, dtype=torch.float64).float()) for each in begun]
    optimizer = program.Muon([{"params": parameters, "lr": 0.04, "weight_decay": 0.2}])
    expected = [muon_by_numpy(begun[i], gradients[:, i], program.POLAR_EXPRESS, 0.04, 0.2, momenta) for i in range(2)]
    for step, momentum in enumerate(momenta):
        for i, parameter in enumerate(parameters):
            parameter.grad = torch.tensor(gradients[step, i]).float()
        optimizer.param_groups[0]["momentum"] = momentum
        optimizer.step()
        for i, parameter in enumerate(parameters):
            np.testing.assert_allclose(parameter.detach().numpy(), expected[i][step], atol=2e-4)


def test_polar_express_makes_singular_values_about_one(program: ModuleType) -> None:
    made = program.polar(torch.randn(3, 20, 50, generator=torch.Generator().manual_seed(0)))
    values = torch.linalg.svdvals(made)
    assert values.min() > 0.7
    assert values.max() < 1.3


def test_every_parameter_has_one_optimizer(program: ModuleType) -> None:
    model = program.build_model()
    adam, muon = program.optimizers_of(model)
    held = [id(each) for optimizer in (adam, muon) for group in optimizer.param_groups for each in group["params"]]
    assert sorted(held) == sorted(id(each) for each in model.parameters())
    assert all(len({each.shape for each in group["params"]}) == 1 for group in muon.param_groups)
    wide = (128 / 768) ** -0.5
    rates = [group["lr"] for group in adam.param_groups]
    assert rates == pytest.approx([0.004 * wide, 0.6 * wide, 0.005, 0.5])


def test_rates_follow_the_budget(program: ModuleType) -> None:
    assert [program.lr_factor(each) for each in (0, 0.3, 0.5, 0.75, 1)] == [1, 1, 1, 0.5, 0]
    adam, muon = program.optimizers_of(program.build_model())
    program.set_rates([adam, muon], 0.75, 150)
    group = muon.param_groups[0]
    assert (group["lr"], group["momentum"], group["weight_decay"]) == pytest.approx((0.02, 0.9, 0.05))
    program.set_rates([adam, muon], 0.75, 10_000)
    assert group["momentum"] == pytest.approx(0.95)


def test_a_training_learns_and_leaves_its_weights_in_time(
    program: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = (np.arange(LENGTH + 1) * 3 + np.arange(64)[:, None]) % VOCABULARY  # what comes next follows from the last
    (tmp_path / "data/train").mkdir(parents=True)
    np.save(tmp_path / "data/train/tokens.npy", rows[:, :-1].astype(np.uint16))
    np.save(tmp_path / "data/train/labels.npy", rows[:, 1:].astype(np.int32))
    program.DEPTH, program.TOTAL_BATCH_SIZE = 2, 128
    clock = itertools.count(0, 0.05)  # a step takes a tenth of a second by it
    monkeypatch.setattr(program, "elapsed", lambda: next(clock))
    program.train()
    assert next(clock) < program.TIME_BUDGET
    model = program.build_model()
    model.load_state_dict(load_file("weights.safetensors"))
    logits = model(torch.from_numpy(rows[:, :-1]))
    loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), torch.from_numpy(rows[:, 1:]).flatten())
    assert loss.item() < 0.5 * math.log(VOCABULARY)
    printed = capsys.readouterr().out
    assert "s left" in printed
    said = said_of(printed)
    assert said["said_tokens"] == said["said_steps"] * program.TOTAL_BATCH_SIZE > 0


def test_profiles_differ_in_constants_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = {name: baseline(name) for name in PROFILES}
    names = ("DEPTH", "ASPECT_RATIO", "HEAD_DIM", "TOTAL_BATCH_SIZE", "DEVICE_BATCH_SIZE")
    sizes = {name: tuple(getattr(module, each) for each in names) for name, module in found.items()}
    assert sizes == {"cpu": (4, 32, 32, 1_024, 4), "gpu": (8, 64, 128, 2**19, 128)}
    for name, module in found.items():
        rows = profile_of(name).length * module.DEVICE_BATCH_SIZE
        assert module.TOTAL_BATCH_SIZE % rows == 0
