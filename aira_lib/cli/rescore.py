"""`aira rescore`: scripts that score themselves, scored again where they cannot reach the targets."""

from pathlib import Path
from typing import Annotated

import typer

from aira_lib.cli.progress_line import ProgressLine, note
from aira_lib.foreign import harmless

app = typer.Typer()


@app.command()
def rescore(
    source: Annotated[
        Path, typer.Argument(metavar="JOURNAL|TRAIN.PY", help="A script, or a search's journal or record.")
    ],
    seconds: Annotated[float, typer.Option(min=0.1, help="What each is told that it may train.")] = 60.0,
    output: Annotated[Path, typer.Option(help="Folder for what was found, and the table rescored.tsv.")] = Path(
        "rescored"
    ),
    limit: Annotated[int | None, typer.Option(min=1, help="So many scripts at most; default: all.")] = None,
    shards: Annotated[Path | None, typer.Option(metavar="DIR", help="Parquet shards; default: the stand-in.")] = None,
) -> None:
    """Print what scripts of the original Autoresearch's interface claim, beside their honest bits per byte.

    Such a script imports prepare, trains, and hands its model to evaluate_bpb, which believes what it says its loss is.
    It runs as it is; then its model is asked for logits where there are no targets. What was done is not done again.
    """
    from aira_lib.rescoring.command import in_words, rescore_all
    from aira_lib.rescoring.prepared import prepared_text
    from aira_lib.rescoring.scripts import read_scripts

    read_scripts(source)  # what cannot be read is refused before data are made
    line = ProgressLine()
    text, of = prepared_text(shards, note)
    with line:
        rows = rescore_all(source, text, seconds, output, limit, line.show_text)
    print(harmless(of))
    for row in rows:
        print(harmless("\n".join(in_words(row))))
    print(harmless(f"{output / 'rescored.tsv'}: {len(rows)} scripts"))
