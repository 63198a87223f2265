"""Training: resuming changes nothing, micro-batches change nothing, the loss falls, the plan pays its budgets."""

import json
from collections.abc import Iterator
from dataclasses import astuple
from pathlib import Path

import numpy as np
import pytest
import torch

from aira_lib.architecture.pattern import parse
from aira_lib.architecture.scales import scale_named
from aira_lib.datasets.batches import ArraySource, Batches
from aira_lib.datasets.study import study_text
from aira_lib.errors import UserError
from aira_lib.evaluate.stage import evaluate
from aira_lib.evaluate.windows import documents_of_targets, held_out_starts
from aira_lib.extrapolate.stage import describe
from aira_lib.models.language_model import LanguageModel
from aira_lib.pretrain.points import pretraining_points
from aira_lib.pretrain.stage import pretrain
from aira_lib.records import PretrainPoint, ScaledDesign, Score, TrainingRun, read_columns, read_row
from aira_lib.study import DataSection, EvaluateSection, OptimizerSection, PretrainSection
from aira_lib.training import checkpoint
from aira_lib.training.one_device import OneDeviceTrainer
from aira_lib.training.schedule import learning_rate
from aira_lib.training.trainer import StepResult
from tests.builders import work_in

DATA = DataSection(max_train_bytes=60_000, max_validation_bytes=10_000)
NANO = scale_named("nano", 3).model_copy(update={"n_layers": 3, "tokens_per_step": 512})


def _design(pattern: str = "A-M-Mb", name: str = "x@nano", kind: str = "find") -> ScaledDesign:
    return describe(name, base="x", kind=kind, method="stretch", layers=parse(pattern), scale=NANO, trainable=True)


def _point(steps: int = 12, pattern: str = "A-M-Mb") -> PretrainPoint:
    section = PretrainSection.model_validate({"isotoken": {"scale": "nano", "tokens": 512 * steps, "seeds": [3]}})
    return pretraining_points(section, [_design(pattern)])[0]


def _section(**changes: object) -> PretrainSection:
    return PretrainSection.model_validate({"data": DATA.model_dump(), **changes})


def _text() -> Batches:
    text = np.frombuffer(Path(json.__file__).read_bytes(), dtype=np.uint8)
    return Batches(ArraySource(text, 256, 0), NANO.seq_len, NANO.tokens_per_step // NANO.seq_len, seed=3)


def test_loss_falls_from_that_of_a_guess_with_unit_logits() -> None:
    losses = [r.loss for r in OneDeviceTrainer(_section(), _point(60), _text(), "cpu").run()]
    # Logits that are N(0, 1) at the start cost half a nat more than a uniform guess.
    assert losses[0] == pytest.approx(np.log(256) + 0.5, abs=0.3)
    assert np.mean(losses[-5:]) < losses[0] - 1.0


@pytest.mark.parametrize("stop", [1, 5, 11])
def test_a_resumed_run_is_the_uninterrupted_one_to_the_last_bit(stop: int) -> None:
    whole = OneDeviceTrainer(_section(), _point(), _text(), "cpu")
    results = [astuple(r) for r in whole.run()]
    first = OneDeviceTrainer(_section(), _point(), _text(), "cpu")
    start = [astuple(next(steps)) for steps in [first.run()] for _ in range(stop)]
    second = OneDeviceTrainer(_section(), _point(), _text(), "cpu")
    second.load(first.step, {part: whole for part, (whole,) in first.state().items()})
    assert start + [astuple(r) for r in second.run()] == results
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, second.model.state_dict()[name]), name


def test_micro_batches_give_the_gradient_of_the_whole_step() -> None:
    whole = [r.loss for r in OneDeviceTrainer(_section(), _point(6), _text(), "cpu").run()]
    parts = [r.loss for r in OneDeviceTrainer(_section(micro_batch_tokens=128), _point(6), _text(), "cpu").run()]
    assert parts == pytest.approx(whole, rel=1e-4)


def test_the_stage_survives_a_kill_between_checkpoints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    section = _section(checkpoint_seconds=1e-9)
    pretrain(section, _point(), work_in(tmp_path / "whole"))
    original = OneDeviceTrainer.run

    def killed(self: OneDeviceTrainer) -> Iterator[StepResult]:
        for result in original(self):
            if result.step == 8:
                raise KeyboardInterrupt
            yield result

    monkeypatch.setattr(OneDeviceTrainer, "run", killed)
    with pytest.raises(KeyboardInterrupt):
        pretrain(section, _point(), work_in(tmp_path / "cut"))
    monkeypatch.setattr(OneDeviceTrainer, "run", original)
    pretrain(section, _point(), work_in(tmp_path / "cut"))
    assert (tmp_path / "cut/loss.parquet").read_bytes() == (tmp_path / "whole/loss.parquet").read_bytes()
    times = {"seconds": 0, "tokens_per_second": None, "mfu": None}
    runs = [read_row(tmp_path / f"{n}/run.json", TrainingRun).model_copy(update=times) for n in ("cut", "whole")]
    assert runs[0] == runs[1]
    assert read_columns(tmp_path / "cut/loss.parquet")["step"] == list(range(1, 13))


def test_scores_come_from_the_final_checkpoint(tmp_path: Path) -> None:
    work = work_in(tmp_path / "run")
    pretrain(_section(), _point(40), work)
    assert [s.instead_of for s in work.stand_ins] == ["DCLM-Baseline with the Llama 3 tokenizer"]
    evaluate(EvaluateSection(samples=16, batch_size=5), DATA, tmp_path / "run", work_in(tmp_path / "score"))
    score = read_row(tmp_path / "score/score.json", Score)
    assert score.loss is not None
    assert score.bits_per_byte == pytest.approx(score.loss / np.log(2))
    assert 2.0 < score.loss < np.log(256)
    assert (score.samples, score.tokens) == (16, 16 * 128)


def _reference_losses(record: Path, precision: str, samples: int) -> list[np.ndarray]:
    """Of each held-out window alone: minus log-probabilities in fp64, of logits by products of a precision."""
    found = checkpoint.latest(record)
    assert found is not None
    model = LanguageModel(parse("A-M-Mb"), NANO)
    model.load_state_dict(found[1]["model"])
    text, losses = study_text(DATA).validation, []
    windows = text.windows(held_out_starts(text, NANO.seq_len, samples), NANO.seq_len + 1).astype(np.int64)
    for row, labels in zip(windows[:, :-1], windows[:, 1:], strict=True):
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            logits = model(torch.from_numpy(row)[None])[0]
        of_labels = torch.log_softmax(logits.double(), -1)[torch.arange(len(labels)), torch.from_numpy(labels)]
        losses.append(-of_labels.numpy())
    return losses


def test_a_run_is_scored_in_the_precision_of_its_training(tmp_path: Path) -> None:
    section = EvaluateSection(samples=16, batch_size=5)
    scores, references = {}, {}
    for precision in ("bf16", "fp32"):
        record = tmp_path / precision
        pretrain(_section(precision=precision), _point(20), work_in(record))
        assert read_row(record / "run.json", TrainingRun).precision == precision
        evaluate(section, DATA, record, work_in(tmp_path / f"score-{precision}"))
        scores[precision] = read_row(tmp_path / f"score-{precision}/score.json", Score).loss
        references[precision] = {each: np.mean(_reference_losses(record, each, 16)) for each in ("bf16", "fp32")}
    for precision, other in (("bf16", "fp32"), ("fp32", "bf16")):
        # How far the precisions are apart on one model is chance, by its weights; 1e-5 to 3e-4 have been seen.
        assert scores[precision] == pytest.approx(references[precision][precision], abs=3e-7)
        assert abs(scores[precision] - references[precision][other]) > 3e-6


def test_the_error_of_a_score_is_that_of_its_documents(tmp_path: Path) -> None:
    pretrain(_section(), _point(20), work_in(tmp_path / "run"))
    evaluate(EvaluateSection(samples=40), DATA, tmp_path / "run", work_in(tmp_path / "score"))
    score = read_row(tmp_path / "score/score.json", Score)
    losses = np.stack(_reference_losses(tmp_path / "run", "fp32", 40))
    text = study_text(DATA).validation
    owners = documents_of_targets(text, held_out_starts(text, NANO.seq_len, 40), NANO.seq_len)
    groups = [losses[owners == owner] for owner in np.unique(owners)]
    assert score.document_tokens == tuple(map(len, groups))
    assert score.document_sums == pytest.approx([group.sum() for group in groups], rel=1e-4)
    assert score.tokens == losses.size
    assert score.loss == pytest.approx(losses.mean(), rel=1e-5)
    # To first order, what the mean becomes without a document at a time: the jackknife.
    without = [(losses.sum() - group.sum()) / (losses.size - len(group)) for group in groups]
    jackknife = np.sqrt((len(groups) - 1) / len(groups) * np.square(without - np.mean(without)).sum())
    assert score.loss_stderr == pytest.approx(jackknife, rel=0.35)


def test_training_is_in_the_precision_that_is_asked_for() -> None:
    losses = {
        precision: [r.loss for r in OneDeviceTrainer(_section(precision=precision), _point(3), _text(), "cpu").run()]
        for precision in ("bf16", "fp32", None)
    }
    assert losses[None] == losses["fp32"]
    assert losses["bf16"] != losses["fp32"]
    assert losses["bf16"] == pytest.approx(losses["fp32"], rel=0.01)


def test_scoring_reads_the_weights_alone(tmp_path: Path) -> None:
    pretrain(_section(), _point(), work_in(tmp_path / "run"))
    section = EvaluateSection(samples=4)
    evaluate(section, DATA, tmp_path / "run", work_in(tmp_path / "first"))
    (optimizer,) = (tmp_path / "run").rglob("optimizer.*.pt")
    optimizer.unlink()
    evaluate(section, DATA, tmp_path / "run", work_in(tmp_path / "second"))
    first, second = (read_row(tmp_path / name / "score.json", Score) for name in ("first", "second"))
    assert first.loss == second.loss


def test_the_run_says_what_computed_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRA_DEVICE", "cpu")
    monkeypatch.delenv("AIRA_KERNELS", raising=False)
    pretrain(_section(), _point(2), work_in(tmp_path / "fused"))
    monkeypatch.setenv("AIRA_KERNELS", "plain")
    pretrain(_section(precision="bf16"), _point(2), work_in(tmp_path / "plain"))
    said = [json.loads((tmp_path / name / "run.json").read_text()) for name in ("fused", "plain")]
    assert [(run["device"], run["precision"], run["kernels"]) for run in said] == [
        ("cpu", "fp32", "fused"), ("cpu", "bf16", "torch")
    ]  # fmt: skip
    for name in ("device", "precision", "kernels"):
        del said[0][name]
    older = TrainingRun.model_validate(said[0])
    assert (older.device, older.precision, older.kernels) == (None, None, None)


def test_divergence_is_a_result(tmp_path: Path) -> None:
    section = _section(optimizer={"learning_rate": 1e12, "clip": 1e30, "warmup_fraction": 0})
    pretrain(section, _point(30), work_in(tmp_path / "run"))
    run = read_row(tmp_path / "run/run.json", TrainingRun)
    assert run.status == "diverged"
    assert run.final_train_loss is None
    evaluate(EvaluateSection(), DATA, tmp_path / "run", work_in(tmp_path / "score"))
    assert read_row(tmp_path / "score/score.json", Score).loss is None


def test_a_gradient_that_is_no_number_ends_a_run_and_leaves_the_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, trainers = OneDeviceTrainer._backward, []

    def broken(self: OneDeviceTrainer) -> float:
        trainers.append(self)
        loss = original(self)
        if self.step == 2:
            next(self.model.parameters()).grad[0, 0] = np.inf
        return loss

    monkeypatch.setattr(OneDeviceTrainer, "_backward", broken)
    pretrain(_section(), _point(6), work_in(tmp_path / "run"))
    run = read_row(tmp_path / "run/run.json", TrainingRun)
    assert (run.status, run.steps, run.final_train_loss) == ("diverged", 3, None)
    assert all(weights.isfinite().all() for weights in trainers[-1].model.parameters())


def test_points_pay_their_budgets_and_train_equal_designs_once() -> None:
    section = PretrainSection.model_validate(
        {
            "isotoken": {"scale": "nano", "tokens": 1000, "seeds": [0, 1]},
            "isoflop": {"scales": ["nano"], "budgets": [1e10]},
        }
    )
    designs = [_design(name="a@nano"), _design(name="b@nano"), _design("3A", "Llama 3.2@nano", "baseline")]
    points = pretraining_points(section, designs)
    assert [p.protocol for p in points] == ["isotoken"] * 4 + ["isoflop"] * 2
    assert points[0].aliases == ("b@nano",)
    assert points[0].tokens == 1024
    assert len({p.id for p in points}) == len(points)
    for point in points[4:]:
        step = point.design.flops_per_token * 512
        assert point.steps == 1e10 // step
        assert 1e10 - step < point.flops <= 1e10


def test_a_budget_below_one_step_is_refused_in_one_line() -> None:
    section = PretrainSection.model_validate({"isoflop": {"scales": ["nano"], "budgets": [1e5]}})
    with pytest.raises(UserError, match=r"1e\+05 FLOPs does not pay for one step of x@nano"):
        pretraining_points(section, [_design()])


@pytest.mark.parametrize(("warmup", "decay"), [(0.35, 0.65), (0.0, 1.0), (1.0, 0.0), (0.1, 0.9)])
def test_a_schedule_reaches_its_peak_or_is_refused(warmup: float, decay: float) -> None:
    section = OptimizerSection(learning_rate=1.0, reference_width=64, warmup_fraction=warmup, decay_fraction=decay)
    assert max(learning_rate(section, NANO, step, 100) for step in range(100)) == pytest.approx(2.0)
    with pytest.raises(ValueError, match=r"overlap, so the learning rate would never reach its peak"):
        OptimizerSection(warmup_fraction=warmup + 0.01 if warmup < 1 else 1, decay_fraction=max(decay, 0.01))


def test_the_schedule_is_a_trapezoid_whose_peak_falls_with_width() -> None:
    section = OptimizerSection(learning_rate=1.0, reference_width=64, warmup_fraction=0.1, decay_fraction=0.2)
    rates = [learning_rate(section, NANO, step, 100) for step in range(100)]
    assert rates[:3] == pytest.approx([0.2, 0.4, 0.6])
    assert set(np.round(rates[9:81], 9)) == {2.0}
    assert rates[90] == pytest.approx(1.0)
    assert rates[99] == pytest.approx(0.1)
