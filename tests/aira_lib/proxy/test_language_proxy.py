"""The language-model proxy: cross-entropy by a plain computation, a function of the seed, the design matters."""

import math
from typing import Any

import numpy as np
import pytest
import torch

from aira_lib.architecture.cost import flops_per_token
from aira_lib.datasets.language import language_splits
from aira_lib.device import Precision
from aira_lib.models.mad_model import mad_model
from aira_lib.proxy.cost import count_steps, evaluation_flops, language_scale, sample_counts
from aira_lib.proxy.evaluation import evaluate
from aira_lib.proxy.language import mean_loss, text_scale
from aira_lib.proxy.text import text_data
from aira_lib.study import LanguageData, ProxySection

TEXT = LanguageData(tokenizer="words", vocab_size=128, seq_len=32, train_examples=60, test_examples=20)


def section(**changes: Any) -> ProxySection:
    values: dict[str, Any] = dict(
        dataset="babistories", language=TEXT, d_model=32, n_heads=2, d_ff=64, d_state=16, batch_size=16, epochs=2,
        learning_rate=3e-3,
    )  # fmt: skip
    return ProxySection(**{**values, **changes})


def test_the_loss_is_the_mean_of_minus_log_probabilities() -> None:
    chosen = section()
    data = text_data(chosen, "babistories")
    torch.manual_seed(0)
    model = mad_model("babistories", ("A", "M"), text_scale(chosen, data))
    test = data.splits.test
    with torch.no_grad():
        logits = model(torch.from_numpy(test.inputs)).double().numpy()
    total = 0.0
    for row, targets in zip(logits, test.targets, strict=True):
        for at, target in zip(row, targets, strict=True):
            total += math.log(np.exp(at - at.max()).sum()) + at.max() - at[target]
    assert mean_loss(model, test, "fp32") == pytest.approx(total / test.targets.size, rel=1e-5)
    assert mean_loss(model, test, "fp32") == pytest.approx(math.log(data.vocab_size), rel=0.25)  # nothing learned yet


def test_the_loss_has_the_precision_of_the_training() -> None:
    chosen = section()
    data = text_data(chosen, "babistories")
    torch.manual_seed(0)
    model = mad_model("babistories", ("A", "Mb", "M"), text_scale(chosen, data))
    test = data.splits.test
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        logits = torch.cat([model(torch.from_numpy(row)[None]) for row in test.inputs]).double()
    chances = torch.log_softmax(logits, -1).gather(-1, torch.from_numpy(test.targets)[..., None])
    assert mean_loss(model, test, "bf16") == pytest.approx(-float(chances.mean()), abs=2e-6)
    assert abs(mean_loss(model, test, "bf16") - mean_loss(model, test, "fp32")) > 2e-5


@pytest.mark.parametrize("precision", ["bf16", "fp32"])
def test_an_evaluation_scores_in_its_section_s_precision(precision: Precision, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def noted(model: Any, examples: Any, precision: Precision) -> float:
        asked.append(precision)
        return mean_loss(model, examples, precision)

    monkeypatch.setattr("aira_lib.proxy.language.mean_loss", noted)
    evaluate(("A",), section(precision=precision), 0)
    assert set(asked) == {precision}


def test_a_result_is_a_function_of_its_arguments() -> None:
    language_splits.cache_clear()
    first = evaluate(("A", "M"), section(), 1)
    language_splits.cache_clear()
    again, other = evaluate(("A", "M"), section(), 1), evaluate(("A", "M"), section(), 2)
    took = {"seconds": again.seconds, "training_seconds": again.training_seconds}
    assert first.model_copy(update=took) == again
    assert first.validation != other.validation
    assert first.status == "ok"
    assert (first.validation_by_task, first.test_by_task) == (
        {"babistories": first.validation}, {"babistories": first.test}
    )  # fmt: skip
    assert evaluate(("A", "M"), section(seed=99), 1).test != first.test


def test_a_mixer_reads_what_an_mlp_cannot() -> None:
    """An MLP sees one word; who has what stands further back. A unigram guess is what both must beat."""
    text = TEXT.model_copy(update={"train_examples": 300, "test_examples": 60})
    chosen = section(language=text, epochs=10, retrain_for_test=False)
    mixed, blind = (evaluate(design, chosen, 0) for design in (("A", "M", "A"), ("M", "M")))
    targets = text_data(chosen, "babistories").splits.test.targets
    share = np.bincount(targets.ravel()) / targets.size
    guess = -sum(p * math.log(p) for p in share if p)
    assert mixed.test is not None
    assert blind.test is not None
    assert mixed.test < blind.test - 0.2
    assert blind.test < guess - 0.2


def test_counts_of_a_text() -> None:
    chosen = section()
    assert sample_counts(chosen) == (60, 20)
    assert count_steps(chosen) == (math.ceil(42 / 16) + math.ceil(60 / 16)) * 2
    done = evaluate(("M",), chosen, 0)
    assert done.train_steps == count_steps(chosen)
    per_token = flops_per_token(("M",), language_scale(chosen))
    assert evaluation_flops(("M",), chosen) == (3 * (42 + 60) * 2 + 18 + 20) * 32 * per_token // 3
    assert sample_counts(ProxySection(dataset="babistories")) == (927_158, 9_275)
    assert sample_counts(ProxySection(dataset="dclm")) == (10_000, 9_275)


def test_divergence_is_a_result_with_a_reason() -> None:
    result = evaluate(("M", "M"), section(learning_rate=1e30), 0)
    assert (result.status, result.validation) == ("failed", None)
    assert result.reason.startswith("babistories: the loss became")
