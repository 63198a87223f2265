"""Pretrain one point: train on one device or on several ranks, resume, and leave the loss curve."""

import json
import time
from typing import Any

import torch

from aira_lib.datasets.study import study_text
from aira_lib.device import device_kind, kernels, ready_device
from aira_lib.records import PretrainPoint, TrainingRun
from aira_lib.study import PretrainSection, ResourcesAtScale
from aira_lib.training import checkpoint
from aira_lib.training.course import train_alone
from aira_lib.training.curve import finish_curve, reopen_curve, tail_mean
from aira_lib.training.on_nodes import train_on_nodes
from aira_lib.training.outcome import Outcome
from aira_lib.training.precision import effective_precision
from aira_lib.training.together import train_together
from aira_lib.training.trainer import StepResult
from aira_lib.training.trainers import check_ranks, check_trainer
from aira_lib.work import Work


def pretrain(
    section: PretrainSection, point: PretrainPoint, work: Work, resources: ResourcesAtScale | None = None
) -> None:
    """Train to the end of the point's budget.

    Leaves `run.json` (a `TrainingRun`), `loss.parquet` (step, tokens, flops, loss, learning_rate, grad_norm) and the
    final checkpoint. An interrupted run goes on from its newest whole checkpoint.

    Args:
        section: settings.
        point: what is trained.
        work: the workplace.
        resources: ranks that train it together, and what they get of this machine, or of several nodes, on which a
            job of a cluster trains it; None: this process alone.

    Raises:
        UserError: no such trainer, or not for so many ranks, no text, too little memory, or AIRA_DEVICE names a device
            that is not here.
        DeadRank: a rank was killed, or fell silent; another attempt goes on from the last checkpoint.
        SystemExit: this process was told to end (SIGTERM); a checkpoint was saved.
    """
    started = time.monotonic()
    ranks = resources.ranks_in_all if resources else 1
    check_trainer(section)
    check_ranks(section, ranks)
    on_nodes = resources is not None and (resources.nodes or 1) > 1
    place = "cpu" if on_nodes else ready_device()  # this process then computes nothing
    torch.set_num_threads(work.threads)
    text = study_text(section.data)
    if text.stand_in:
        work.stand_in(**text.stand_in.model_dump())
    batches = text.batches(point.design.scale, point.seed, work.progress)
    _log_choices(point, work)
    reopen_curve(work.path)
    if resources and on_nodes:
        outcome = train_on_nodes(section, point, work, resources)
    elif resources and ranks > 1:
        outcome = train_together(section, point, work, resources)
    else:
        outcome = train_alone(section, point, batches, place, work)
    checkpoint.prune(work.path, work.push, keep_steps=point.kept_steps)
    curve = finish_curve(work.path)
    run = _run(section, point, curve, text.read_in(batches, curve[-1].step), outcome, ranks)
    run = run.model_copy(update={"seconds": time.monotonic() - started})
    (work.path / "run.json").write_text(run.json_line(), encoding="utf-8")
    if not outcome.well:
        work.progress(run.steps, point.steps, f"diverged at step {run.steps:,}")


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


def _run(
    section: PretrainSection, point: PretrainPoint, curve: list[StepResult], data: dict[str, Any], outcome: Outcome,
    ranks: int,
) -> TrainingRun:  # fmt: skip
    last, kind = curve[-1], device_kind()
    return TrainingRun(
        point=point,
        final_train_loss=tail_mean(curve) if outcome.well else None,
        steps=last.step,
        tokens=last.tokens,
        flops=last.flops,
        status="ok" if outcome.well else "diverged",
        data=json.loads(json.dumps(data)),
        device=kind,
        precision=effective_precision(section, kind),
        kernels="torch" if section.trainer == "fsdp" else kernels(kind),
        trainer=section.trainer,
        ranks=ranks,
        nonfinite=tuple(result.step - 1 for result in curve if not result.finite),
        tokens_per_second=outcome.tokens_per_second,
        mfu=outcome.mfu,
    )
