"""A command for each stage of the flow, those of somebody's own included (see `aira_lib.flow.stage`)."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from aira_lib.cli.options import Store, StudyFile, Unit, settings_of, study_of
from aira_lib.errors import UserError
from aira_lib.flow.stage import STAGES, Stage

app = typer.Typer()
WITH_COMMANDS_OF_THEIR_OWN = ("search", "pretrain", "evaluate", "latency", "report")


@app.command(help=STAGES.named("pretrain").help)
def pretrain(
    study: StudyFile,
    unit: Unit = None,
    store: Store = None,
    lr_check: Annotated[
        bool, typer.Option("--lr-check", help="Only try other learning rates: one baseline, smallest budgets.")
    ] = False,
    lr_factors: Annotated[
        str | None, typer.Option(help="Of --lr-check: of the peak, such as 0.1,1,10; default: a third, 1 and 3.")
    ] = None,
    design: Annotated[
        str | None, typer.Option(help="Of --lr-check: a baseline of the study; default: its first.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Of --lr-check: say what it would take.")] = False,
) -> None:
    """See the row of the stage."""
    if not lr_check:
        if wrong := [name for name, given in _of_lr_check(lr_factors, design, dry_run) if given]:
            raise UserError(f"{wrong[0]} goes with --lr-check; `aira plan STUDY` lists all runs of a study")
        return _make("pretrain", study, unit, store)
    if unit:
        raise UserError("--unit names one run of the study, and --lr-check runs of its own; leave out one of them")
    from aira_lib.local.rate_check import check_rates

    check_rates(study_of(study), settings_of(store), _numbers(lr_factors), design, dry_run)


def _of_lr_check(lr_factors: str | None, design: str | None, dry_run: bool) -> list[tuple[str, object]]:
    return [("--lr-factors", lr_factors), ("--design", design), ("--dry-run", dry_run)]


def _numbers(text: str | None) -> list[float] | None:
    try:
        return [float(part) for part in text.split(",")] if text is not None else None
    except ValueError:
        raise UserError(f"--lr-factors {text!r}: name numbers such as 0.1,1,10") from None


@app.command(help=STAGES.named("latency").help)
def latency(
    study: Annotated[Path | None, typer.Argument(metavar="[STUDY]", help="With a section `latency`.")] = None,
    store: Store = None,
    pattern: Annotated[str | None, typer.Option(help="Instead of a study: one design; nothing is kept.")] = None,
    scale: Annotated[str | None, typer.Option(help="Of --pattern: such as nano or 350M.")] = None,
    batch: Annotated[int | None, typer.Option(min=1, help="Of --pattern: sequences at once; default: 1.")] = None,
    seq_len: Annotated[
        int | None, typer.Option(min=1, help="Of --pattern: tokens a sequence; default: the scale's.")
    ] = None,
    modes: Annotated[str | None, typer.Option(help="Of --pattern: some of prefill,decode,train; default: all.")] = None,
    repeats: Annotated[int | None, typer.Option(min=3, help="Of --pattern: samples of each; default: 20.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what it would measure, and its memory.")] = False,
) -> None:
    """See the row of the stage."""
    from aira_lib.local.latency_command import section_of, time_pattern, time_study

    named = [("--scale", scale), ("--batch", batch), ("--seq-len", seq_len), ("--modes", modes),
             ("--repeats", repeats)]  # fmt: skip
    if pattern is None:
        if study is None:
            raise UserError("name a study with a section `latency`, or one design by --pattern and --scale")
        if wrong := [name for name, value in named if value is not None]:
            raise UserError(f"{wrong[0]} goes with --pattern; what a study measures stands in its section `latency`")
        return time_study(study_of(study), settings_of(store), dry_run)
    if study is not None:
        raise UserError(f"--pattern names a design, and {study} a study with designs of its own; leave out one of them")
    if scale is None:
        raise UserError("--pattern needs --scale, such as --scale nano")
    time_pattern(pattern, section_of(scale, batch, seq_len, modes, repeats), dry_run)


@app.command(help=STAGES.named("report").help)
def report(
    study: StudyFile,
    store: Store = None,
    open_report: Annotated[bool, typer.Option("--open", help="Open it in a browser.")] = False,
) -> None:
    """See the row of the stage."""
    from aira_lib.local.session import link_searches, report_page, report_record, show_page

    _make("report", study, None, store)
    record = report_record(study_of(study), settings_of(store))
    link_searches(study_of(study), record)
    show_page(report_page(record, settings_of(store)), open_report)


def _command(stage: Stage) -> Callable[..., None]:
    def of_one(study: StudyFile, store: Store = None) -> None:
        _make(stage.name, study, None, store)

    def of_several(study: StudyFile, unit: Unit = None, store: Store = None) -> None:
        _make(stage.name, study, unit, store)

    return of_one if stage.per == "study" else of_several


def _make(stage: str, study: Path, unit: str | None, store: str | None) -> None:
    from aira_lib.local.session import run_one_stage

    run_one_stage(stage, study_of(study), unit, settings_of(store))


for each in STAGES.entries():
    if each.name not in WITH_COMMANDS_OF_THEIR_OWN:
        app.command(each.name, help=each.help)(_command(each))
