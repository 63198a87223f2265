"""`aira scores`: agents compared over the tasks of any set of studies."""

from pathlib import Path
from typing import Annotated

import typer

from aira_lib.cli.options import Store, settings_of

app = typer.Typer()


@app.command()
def scores(
    studies: Annotated[list[str], typer.Argument(metavar="STUDY...", help="Studies with finished searches.")],
    pinned: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Scales that stay, such as scores.yaml; what is new is added to it."),
    ] = None,
    anchor: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=SCORE", help="A published result; of several tasks TASK:NAME=SCORE. Repeatable."),
    ] = None,
    reference: Annotated[
        list[str] | None, typer.Option(metavar="AGENT", help="An agent that others are compared with. Repeatable.")
    ] = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Page, tables, figures, numbers.")
    ] = Path("scores"),
    store: Store = None,
) -> None:
    """Score agents over all tasks of some studies: valid submissions, normalised scores, gaps, ratings, intervals."""
    from aira_lib.standings.command import scores_command

    scores_command(studies, pinned, anchor or [], reference or [], output, settings_of(store))
