import math
from typing import Any

import numpy as np
import pytest
import torch

from aira_lib.architecture.cost import params
from aira_lib.errors import UserError
from aira_lib.models.mad_model import mad_model
from aira_lib.proxy import scored_task
from aira_lib.proxy.cost import count_steps, evaluation_flops, seconds_estimate, task_scale, task_settings
from aira_lib.proxy.course import task_data
from aira_lib.proxy.evaluation import evaluate
from aira_lib.proxy.train import Diverged, epochs, predict, train
from aira_lib.records import FailureCause
from aira_lib.study import ProxySection

EASY: dict[str, Any] = {
    "in-context-recall": {"vocab_size": 8, "seq_len": 24},
    "memorization": {"vocab_size": 16, "seq_len": 16},
    "compression": {"vocab_size": 6, "seq_len": 8},
    "selective-copying": {"seq_len": 16, "n_tokens_to_copy": 4},
}


def section(*tasks: str, **changes: Any) -> ProxySection:
    return ProxySection.model_validate(
        {
            "tasks": tasks, "difficulty": EASY, "d_model": 32, "n_heads": 2, "d_ff": 64, "d_state": 16,
            "train_examples": 40, "test_examples": 16, "batch_size": 16, "epochs": 2, "learning_rate": 3e-3, **changes,
        }
    )  # fmt: skip


def test_a_result_is_a_function_of_the_seed() -> None:
    chosen = section("in-context-recall", "compression")
    first, again, other = (evaluate(("Mb", "A"), chosen, seed) for seed in (1, 1, 2))
    took = {"seconds": again.seconds, "training_seconds": again.training_seconds}
    assert first.model_copy(update=took) == again
    assert first.validation_by_task != other.validation_by_task or first.test_by_task != other.test_by_task


def test_the_callers_random_state_is_left_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    evaluate(("M",), section("memorization", epochs=1), 0)
    assert torch.equal(torch.rand(3), expected)


def test_attention_learns_recall_and_an_mlp_cannot() -> None:
    """Chance is one value of four; a model without a mixer can do no better."""
    chosen = section(
        "in-context-recall", train_examples=640, test_examples=200, epochs=30, retrain_for_test=False, batch_size=32
    )
    mixer, control = (evaluate(design, chosen, 0) for design in (("Mb", "A"), ("M", "M")))
    assert mixer.validation is not None
    assert mixer.validation > 0.75
    assert mixer.test is not None
    assert mixer.test > 0.75
    assert control.validation is not None
    assert control.validation < 0.4


def test_what_a_result_reports() -> None:
    seen: list[tuple[float, float, str]] = []
    chosen = section("memorization", "selective-copying")
    result = evaluate(("A", "M"), chosen, 0, progress=lambda *at: seen.append(at))
    assert result.status == "ok"
    assert result.train_steps == count_steps(chosen) == 2 * (2 + 3) * 2
    assert seen[-1] == (20, 20, "selective-copying")
    assert [s[0] for s in seen] == sorted(s[0] for s in seen)
    assert set(result.validation_by_task) == set(chosen.tasks)
    assert result.validation == pytest.approx(sum(result.validation_by_task.values()) / 2)
    assert result.test == pytest.approx(sum(result.test_by_task.values()) / 2)
    assert result.params == params(("A", "M"), chosen.scale())[0]


def test_the_test_model_is_trained_on_all_examples_only_if_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []

    def counting(model: Any, examples: Any, *rest: Any) -> Any:
        sizes.append(len(examples))
        return epochs(model, examples, *rest)

    monkeypatch.setattr(scored_task, "epochs", counting)
    evaluate(("M",), section("memorization", epochs=1), 0)
    assert sizes == [28, 40]
    sizes.clear()
    evaluate(("M",), section("memorization", epochs=1, retrain_for_test=False), 0)
    assert sizes == [28]


def test_divergence_is_a_result_with_a_reason() -> None:
    result = evaluate(("Mb", "A"), section("in-context-recall", learning_rate=1e30), 0)
    assert result.status == "failed"
    assert result.reason.startswith("in-context-recall: the loss became")
    assert result.cause == FailureCause.DIVERGED
    assert result.validation is None
    assert result.test is None


@pytest.mark.parametrize("kernel", ["auto", "torch"])
@pytest.mark.parametrize("name", ["A_log", "dt_bias", "in_proj.weight"])
def test_a_weight_that_is_no_number_is_divergence_though_the_loss_is_finite(name: str, kernel: Any) -> None:
    """The loss of the last step is that of the weights before it."""
    chosen = section("memorization", epochs=1, batch_size=40, retrain_for_test=False)
    settings = task_settings(chosen, "memorization")
    data = task_data(settings, 40, 16, 0.3, 0)
    model = mad_model("memorization", ("Mb", "A"), task_scale(chosen, settings), kernel=kernel)
    parameter = next(p for key, p in model.named_parameters() if key.endswith(name))
    parameter.register_hook(lambda gradient: gradient * math.nan)
    with pytest.raises(Diverged, match="a weight became nan by epoch 1 of 1"):
        train(model, data.train, chosen, seed=0)


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory"), torch.OutOfMemoryError("x")]
)
def test_running_out_of_memory_is_a_result(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> float:
        raise error

    monkeypatch.setattr(scored_task, "epochs", fail)
    result = evaluate(("M",), section("memorization"), 0)
    assert (result.status, result.reason) == ("failed", "memorization: out of memory")
    assert result.cause == FailureCause.OUT_OF_MEMORY


def test_a_bug_is_not_a_result(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> float:
        raise RuntimeError("shapes do not match")

    monkeypatch.setattr(scored_task, "epochs", fail)
    with pytest.raises(RuntimeError, match="shapes"):
        evaluate(("M",), section("memorization"), 0)


def test_an_impossible_difficulty_is_the_users() -> None:
    with pytest.raises(UserError, match="n_tokens_to_copy"):
        evaluate(("M",), section("memorization", difficulty={"memorization": {"n_tokens_to_copy": 2}}), 0)


def test_flops_by_hand() -> None:
    chosen = section("compression", d_ff=64, retrain_for_test=False)
    forward = 2 * 2 * 32 * 64 * 8  # two matrices, multiply and add, 8 positions
    assert evaluation_flops(("M",), chosen) == forward * (3 * 28 * 2 + 12 + 16)
    assert seconds_estimate(("M", "M"), chosen) > seconds_estimate(("M",), chosen) > 0
    both = section("compression", "memorization", retrain_for_test=False)
    alone = max(seconds_estimate(("M",), section(name, retrain_for_test=False)) for name in both.tasks)
    one, two, three = (seconds_estimate(("M",), both, threads) for threads in (1, 2, 3))
    assert one > two >= alone  # a task is not shared
    assert three == alone


def test_prediction_is_the_likeliest_token_whatever_the_batch() -> None:
    class Echo(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.eye(5))

        def forward(self, tokens: torch.Tensor) -> torch.Tensor:
            return self.weight[tokens]

    inputs = np.random.default_rng(0).integers(5, size=(300, 4))
    assert np.array_equal(predict(Echo(), inputs, "fp32"), inputs)  # type: ignore[arg-type]


def test_training_reports_the_last_epochs_loss() -> None:
    chosen = section("memorization", epochs=3, retrain_for_test=False)
    settings = task_settings(chosen, "memorization")
    data = task_data(settings, 40, 16, 0.3, 0)
    torch.manual_seed(0)
    model = mad_model("memorization", ("A",), task_scale(chosen, settings))
    loss = train(model, data.train, chosen, seed=0)
    assert 0 < loss < math.log(16) + 0.1


@pytest.mark.parametrize("n_layers", [6, 7, 12, 16, 24, 40])
@pytest.mark.parametrize("primitive", ["A", "M", "Mb"])
def test_scaled_widths_keep_the_parameters(n_layers: int, primitive: str) -> None:
    """Of the paper's proxy, as near as steps of 16 channels allow; unscaled they would grow with the depth."""
    scaled = ProxySection(full_width_layers=6)
    deep = scaled.at_depth(n_layers)
    whole, _ = params((primitive,) * 6, ProxySection().scale())
    shrunk, _ = params((primitive,) * n_layers, deep.scale())
    # B, C and the convolution of a Mamba-2 layer do not shrink with the square.
    assert abs(shrunk / whole - 1) < (0.45 if primitive == "Mb" else 0.15)
    assert deep.d_model // deep.n_heads == 8
    assert deep.expand * deep.d_model % deep.ssm_head_dim == 0
    assert deep.full_width_layers is None
    if n_layers == 6:
        assert deep == ProxySection()


def test_no_design_is_wider_than_the_section_says() -> None:
    assert ProxySection(full_width_layers=6).at_depth(3) == ProxySection()
    assert ProxySection().at_depth(40) == ProxySection()


def test_an_evaluation_has_the_scaled_width() -> None:
    chosen = section("memorization", full_width_layers=1, ssm_head_dim=16, n_heads=4)
    deep, plain = ("M", "A", "M", "A"), section("memorization", ssm_head_dim=16, n_heads=4)
    result = evaluate(deep, chosen, 0)
    assert result.params == params(deep, plain.model_copy(update={"d_model": 16, "n_heads": 2, "d_ff": 32}).scale())[0]
    assert evaluation_flops(deep, chosen) < evaluation_flops(deep, plain) / 3
