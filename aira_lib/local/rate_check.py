"""`aira pretrain STUDY --lr-check`: whether peak learning rates are right, before a study is paid for."""

import time
from collections.abc import Sequence
from functools import partial

from rich.table import Table

from aira_lib.console import Console, duration
from aira_lib.flow import estimates
from aira_lib.flow.checks import check_text, need_designs
from aira_lib.flow.finished import finished_units
from aira_lib.flow.run import fetch, run_stage
from aira_lib.flow.scales import baselines_at
from aira_lib.flow.units import unit_of_point
from aira_lib.local.session import WORTH_A_GPU
from aira_lib.planning.estimate import GPU_FLOPS_PER_SECOND
from aira_lib.pretrain.points import rate_check_points
from aira_lib.records import PretrainPoint, Score, TrainingRun, read_row
from aira_lib.settings import Settings
from aira_lib.store import open_store, place_of
from aira_lib.study import RateCheckSection, Study
from aira_lib.study.reading import parse_study
from aira_lib.track.address import check_address
from aira_lib.training.rate_check import RateCheck, rate_checks
from aira_lib.training.schedule import peak_rate

ONE_SEED = (
    "One seed a rate: losses that differ by no more than seeds do are equally good. What is right at the smallest "
    "budget may be a little high at the largest."
)


def check_rates(
    study: Study, settings: Settings, factors: Sequence[float] | None, design: str | None, dry_run: bool
) -> None:
    """Train and score the runs of the check that are not there yet, and say what they tell.

    Args:
        study: whose scales, smallest budgets and peaks are checked.
        settings: where, and with how much of the machine.
        factors: of the peak, instead of those of the study's section `lr_check`.
        design: the baseline, instead of the one of that section.
        dry_run: show what it would take, and start nothing.

    Raises:
        UserError: there is nothing to check, or a run that cannot be made.
    """
    need_designs(study)
    check = _section(study, factors, design)
    points = rate_check_points(study.pretrain, check, baselines_at(study, study.trainable_scales()))
    console = Console()
    _show_plan(console, study, points)
    check_text(study)
    there = finished_units(study, settings, [unit_of_point("pretrain", study, point) for point in points])
    console.print(
        f"{len(there)} of these {len(points)} runs are finished in {place_of(open_store(settings.store).uri)}.",
        highlight=False, soft_wrap=True,
    )  # fmt: skip
    if dry_run:
        return
    if settings.tracking:
        check_address(settings.tracking)
    for found in rate_checks(*_made(console, study, settings, points), study.pretrain.optimizer):
        _show(console, found)
    console.print(ONE_SEED, soft_wrap=True)
    if study.pretrain.lr_check != check:
        console.print(
            f"For the report to show this, the study needs `lr_check: {_as_yaml(check)}` under pretrain; nothing is "
            "trained twice.",
            soft_wrap=True, markup=False,
        )  # fmt: skip


def _section(study: Study, factors: Sequence[float] | None, design: str | None) -> RateCheckSection:
    """The study's own check, or the default one, with what was asked for in its place."""
    asked = {"factors": factors, "design": design}
    own = (study.pretrain.lr_check or RateCheckSection()).model_dump()
    section = {**own, **{name: value for name, value in asked.items() if value is not None}}
    whole = study.model_dump(exclude_defaults=True)
    whole["pretrain"] = {**whole.get("pretrain", {}), "lr_check": section}
    checked = parse_study(whole, f"study {study.name}").pretrain.lr_check
    assert checked
    return checked


def _show_plan(console: Console, study: Study, points: Sequence[PretrainPoint]) -> None:
    """Print the runs and what all of them cost; a plan needs no text."""
    table = Table(title=f"Learning rates of study {study.name}", title_justify="left")
    for column in ("scale", "design", "peak", "steps", "tokens", "FLOPs"):
        table.add_column(column, justify="left" if column in ("scale", "design") else "right")
    for point in points:
        rate = point.learning_rate or peak_rate(study.pretrain.optimizer, point.design.scale)
        numbers = (f"{rate:.6g}", f"{point.steps:,}", f"{point.tokens:.3g}", f"{point.flops:.2g}")
        table.add_row(point.design.scale.name, point.design.name, *numbers)
    console.print(table)
    flops = sum(point.flops for point in points)
    time_for_all = f"{duration(flops / estimates.CPU_FLOPS_PER_SECOND)} of one core"
    if flops > WORTH_A_GPU:
        time_for_all = f"{flops / GPU_FLOPS_PER_SECOND / 3600:,.0f} GPU hours at {GPU_FLOPS_PER_SECOND:.0e} FLOP/s"
    console.print(f"All {len(points)}: {flops:.2g} FLOPs, about {time_for_all} (estimated).", highlight=False)


def _made(
    console: Console, study: Study, settings: Settings, points: Sequence[PretrainPoint]
) -> tuple[list[TrainingRun], list[Score]]:
    """The runs and their scores, made where they are not there yet; each says the point as the check has it."""
    say, runs, scores = partial(console.print, highlight=False, soft_wrap=True), list[TrainingRun](), list[Score]()
    for point in points:
        started = time.monotonic()
        trained = run_stage(study, unit_of_point("pretrain", study, point), settings, (), say)
        scored = run_stage(study, unit_of_point("evaluate", study, point), settings, [trained.uri], say)
        how = "was there already" if scored.reused else f"made in {duration(time.monotonic() - started)}"
        say(f"pretrain {point.id}: {how}")
        run = read_row(fetch(trained.uri, settings, ("checkpoints/*",)).path / "run.json", TrainingRun)
        score = read_row(fetch(scored.uri, settings).path / "score.json", Score)
        runs.append(run.model_copy(update={"point": point}))
        scores.append(score.model_copy(update={"point": point}))
    return runs, scores


def _show(console: Console, check: RateCheck) -> None:
    table = Table(title=f"{check.design.name}, {check.steps:,} steps", title_justify="left")
    for column in ("peak", "of the study's", "training loss", "held-out loss", ""):
        table.add_column(column, justify="left" if not column else "right")
    for place, tried in enumerate(check.tried):
        note = "diverged" if tried.diverged else "lowest" if place == check.lowest else ""
        losses = (f"{loss:.4f}" if loss is not None else "–" for loss in (tried.train_loss, tried.loss))
        table.add_row(f"{tried.rate:.6g}", f"× {tried.rate / check.peak:.3g}", *losses, note)
    console.print(table)
    console.print(check.sentence, soft_wrap=True, highlight=False, markup=False)


def _as_yaml(check: RateCheckSection) -> str:
    changed = check.model_dump(exclude_defaults=True)
    parts = [f"factors: [{', '.join(f'{factor:.6g}' for factor in check.factors)}]"] if "factors" in changed else []
    parts += [f"design: {check.design}"] if "design" in changed else []
    return f"{{{', '.join(parts)}}}"
