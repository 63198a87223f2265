"""`aira features`: what training scripts and their edits hold."""

import math
from pathlib import Path
from typing import Annotated

import typer

from aira_lib.cli.options import Store, a_folder_here, settings_of
from aira_lib.errors import UserError

app = typer.Typer()


@app.command()
def features(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE...", help="Training scripts (.py), journals (.jsonl), studies (.yaml), folders of records."
        ),
    ],
    origin: Annotated[
        str | None,
        typer.Option(metavar="FILE=SCORE", help="The baseline that searches start from; else the first scored step."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    to: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write tables, figure and page there.", callback=a_folder_here)
    ] = None,
    store: Store = None,
) -> None:
    """Read 27 features off training scripts, and count which of them the improvements of searches changed."""
    from aira_lib.edits.command import features_command

    features_command(files, _origin(origin), json, to, settings_of(store))


def _origin(text: str | None) -> tuple[str, float] | None:
    if text is None:
        return None
    path, _, score = text.rpartition("=")
    try:
        found = float(score)
    except ValueError:
        found = math.nan
    if not path or not math.isfinite(found):
        raise UserError(f"--origin {text}: write FILE=SCORE, such as baseline.py=0.9979")
    return path, found
