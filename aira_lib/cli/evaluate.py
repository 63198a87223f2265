"""`aira evaluate`: held-out loss of a study's checkpoints, or one trained model on downstream tasks."""

from pathlib import Path
from typing import Annotated

import typer

from aira_lib.cli.options import Store, Unit, a_folder_here, settings_of, study_of
from aira_lib.cli.progress_line import ProgressLine
from aira_lib.errors import UserError
from aira_lib.flow.stage import STAGES

app = typer.Typer()

_HELP = STAGES.named("evaluate").help + " Or, with --tasks, one trained model on downstream tasks."


@app.command(help=_HELP)
def evaluate(
    study: Annotated[
        str,
        typer.Argument(metavar="STUDY|CHECKPOINT", help="A study; with --tasks: the record of a training or import."),
    ],
    unit: Unit = None,
    store: Store = None,
    tasks: Annotated[
        str | None, typer.Option(help="Downstream tasks of a CHECKPOINT: six, core-14, or NAME[:SHOTS], by commas.")
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(metavar="DIR", help="Of --tasks: the items; default: those of `make eval-data`."),
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Of --tasks: items of each; default: all.")] = None,
    of: Annotated[
        Path | None, typer.Option("--study", metavar="FILE", help="Of --tasks: the study, for its tokenizer.")
    ] = None,
    batch_tokens: Annotated[int | None, typer.Option(min=1, help="Of --tasks: tokens at once.")] = None,
    to: Annotated[
        Path | None,
        typer.Option(metavar="DIR", callback=a_folder_here, help="Of --tasks: copy scores and items here, too."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Of --tasks: say what it would take.")] = False,
) -> None:
    """See the row of the stage."""
    if tasks is None:
        given = {"--data": data, "--limit": limit, "--study": of, "--batch-tokens": batch_tokens, "--to": to,
                 "--dry-run": dry_run}  # fmt: skip
        if wrong := [name for name, value in given.items() if value not in (None, False)]:
            raise UserError(f"{wrong[0]} goes with --tasks, of one checkpoint; name tasks such as --tasks six")
        _stage(study, unit, store)
        return
    if unit:
        raise UserError("--unit names one checkpoint of a study, and --tasks is of one that is named; leave it out")
    from aira_lib.console import result_console
    from aira_lib.local.checkpoint import evaluate_checkpoint, section_of

    section, line = section_of(tasks, data, limit, batch_tokens), ProgressLine()
    with line:
        evaluate_checkpoint(
            result_console(), study, section, settings_of(store), study_of(of) if of else None, to, dry_run,
            lambda done, total, what: line.show_text(what),
        )  # fmt: skip


def _stage(study: str, unit: str | None, store: str | None) -> None:
    from aira_lib.local.session import run_one_stage

    if "://" in study or Path(study).is_dir():
        raise UserError(f"{study}: a folder is no study; to score the model of a record name --tasks, such as six")
    run_one_stage("evaluate", study_of(Path(study)), unit, settings_of(store))
