"""A command for each stage of the flow, those of somebody's own included (see `aira_lib.flow.stage`)."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from aira_lib.cli.options import Store, StudyFile, Unit, settings_of, study_of
from aira_lib.flow.stage import STAGES, Stage

app = typer.Typer()
WITH_COMMANDS_OF_THEIR_OWN = ("search", "report")


@app.command(help=STAGES.named("report").help)
def report(
    study: StudyFile,
    store: Store = None,
    open_report: Annotated[bool, typer.Option("--open", help="Open it in a browser.")] = False,
) -> None:
    """See the row of the stage."""
    from aira_lib.local.session import link_searches, report_page, show_page

    _make("report", study, None, store)
    link_searches(study_of(study), settings_of(store))
    show_page(report_page(study_of(study), settings_of(store)), open_report)


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
