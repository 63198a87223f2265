"""Pretrain one point: train, log, checkpoint through the store, resume, and leave the loss curve."""

import json
import math
import time
from operator import attrgetter
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch

from aira_lib.datasets.study import study_text
from aira_lib.device import device_kind, kernels, ready_device
from aira_lib.records import PretrainPoint, TrainingRun
from aira_lib.study import PretrainSection
from aira_lib.training import checkpoint
from aira_lib.training.precision import effective_precision
from aira_lib.training.trainer import StepResult, Trainer
from aira_lib.training.trainers import TRAINERS, check_trainer
from aira_lib.work import Work

LOG_EVERY = 10
CURVE = "curve"
"""The part of a checkpoint that is the stage's own: the results of all steps so far."""
_row = attrgetter(*StepResult.__dataclass_fields__)


def pretrain(section: PretrainSection, point: PretrainPoint, work: Work) -> None:
    """Train to the end of the point's budget.

    Leaves `run.json` (a `TrainingRun`), `loss.parquet` (step, tokens, flops, loss, learning_rate, grad_norm) and the
    final checkpoint. An interrupted run goes on from its newest whole checkpoint.

    Raises:
        UserError: no such trainer, no text, or AIRA_DEVICE names a device that is not here.
    """
    started = time.monotonic()
    check_trainer(section)
    place = ready_device()
    torch.set_num_threads(work.threads)
    text = study_text(section.data)
    if text.stand_in:
        work.stand_in(**text.stand_in.model_dump())
    batches = text.batches(point.design.scale, point.seed, work.progress)
    trainer = TRAINERS.named(section.trainer)(section, point, batches, place)
    curve = _resume(trainer, point, work)
    _log_choices(point, work)
    saved = time.monotonic()
    for result in trainer.run():
        curve.append(result)
        if time.monotonic() - saved > section.checkpoint_seconds and trainer.step < point.steps:
            _save(trainer, curve, work)
            saved = time.monotonic()
        if result.step % LOG_EVERY == 0 or result.step == point.steps:
            _log(result, work)
            work.progress(result.step, point.steps, f"loss {result.loss:.3f}")
    diverged = not curve[-1].finite
    if not diverged:
        _save(trainer, curve, work)
    checkpoint.prune(work.path, work.push)
    _finish(section, point, curve, text.read_in(batches, curve[-1].step), diverged, time.monotonic() - started, work)


def _resume(trainer: Trainer, point: PretrainPoint, work: Work) -> list[StepResult]:
    newest = checkpoint.latest(work.path)
    if newest is None:
        return []
    step, state = newest
    curve = state.pop(CURVE)["rows"]
    trainer.load(step, state)
    work.progress(step, point.steps, "resumed")
    return [StepResult(int(row[0]), int(row[1]), *row[2:]) for row in curve.tolist()]


def _save(trainer: Trainer, curve: list[StepResult], work: Work) -> None:
    # As a tensor, for a long run has hundreds of thousands of rows; fp64 holds its whole numbers exactly.
    rows = torch.tensor([_row(result) for result in curve], dtype=torch.float64)
    checkpoint.save(work.path, work.push, trainer.step, {**trainer.state(), CURVE: [{"rows": rows}]})


def _log_choices(point: PretrainPoint, work: Work) -> None:
    design = point.design
    work.log.tags({"aira.design": design.name})
    work.log.params(
        {
            "design": design.name,
            "pattern": design.pattern,
            "scale": design.scale.name,
            "d_model": design.scale.d_model,
            "n_layers": design.n_layers,
            "params_non_embedding": design.params_non_embedding,
            "protocol": point.protocol,
            "budget_flops": point.budget_flops or 0,
            "steps": point.steps,
            "tokens": point.tokens,
            "seed": point.seed,
        }
    )


def _log(result: StepResult, work: Work) -> None:
    values = {"loss": result.loss, "learning_rate": result.learning_rate, "grad_norm": result.grad_norm}
    finite = {name: value for name, value in values.items() if math.isfinite(value)}
    work.log.metrics({**finite, "tokens": float(result.tokens), "flops": result.flops}, step=result.step)


def _finish(
    section: PretrainSection, point: PretrainPoint, curve: list[StepResult], data: dict[str, Any], diverged: bool,
    seconds: float, work: Work,
) -> None:  # fmt: skip
    table: dict[str, Any] = {
        name: [getattr(result, name) for result in curve] for name in StepResult.__dataclass_fields__
    }
    pq.write_table(pa.table(table), work.path / "loss.parquet")
    last, kind = curve[-1], device_kind()
    run = TrainingRun(
        point=point,
        final_train_loss=None if diverged else _tail_mean(curve),
        steps=last.step,
        tokens=last.tokens,
        flops=last.flops,
        status="diverged" if diverged else "ok",
        data=json.loads(json.dumps(data)),
        device=kind,
        precision=effective_precision(section, kind),
        kernels=kernels(kind),
        seconds=seconds,
    )
    (work.path / "run.json").write_text(run.json_line(), encoding="utf-8")


def _tail_mean(curve: list[StepResult]) -> float:
    """Mean loss of the last twentieth of the steps: one step's loss is noisy."""
    tail = curve[-max(1, len(curve) // 20) :]
    return sum(result.loss for result in tail) / len(tail)
