"""The command group `aira data lra`: the data of Long Range Arena's tasks, looked at and written out."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from aira_lib.cli.progress_line import note
from aira_lib.console import result_console
from aira_lib.foreign import harmless, in_a_line

if TYPE_CHECKING:
    from aira_lib.lra.data import About, LraData

app = typer.Typer(no_args_is_help=True, help="The data of Long Range Arena: text, listops, retrieval.")

_SHOWN_CHARACTERS = 300

Task = Annotated[str, typer.Argument(metavar="TASK", help="text, listops or retrieval.")]
Size = Annotated[str, typer.Option(help="paper, laptop or smoke.")]
Source = Annotated[
    str,
    typer.Option(
        help=escape(
            "listops: generated, tsv:DIR; text: reversals, imdb:DIR, mails:DIR; retrieval: shared-record, aan:DIR, "
            "man-pages[:DIR]. Default: the first, which needs no files."
        )
    ),
]
Seed = Annotated[int, typer.Option(min=0, help="Of what is generated, drawn or held out.")]


@app.command()
def show(
    task: Task,
    size: Size = "laptop",
    source: Source = "",
    seed: Seed = 0,
    examples: Annotated[int, typer.Option(min=0, max=100, help="Of training, to print.")] = 2,
    as_json: Annotated[bool, typer.Option("--json", help="Print what it is as JSON, and no examples.")] = False,
) -> None:
    """Show what data a task has: splits, lengths, what shallow readings of its test reach, examples."""
    from aira_lib.lra.data.export import shown_text

    data = _data(task, size, source, seed)
    if as_json:
        return print(data.about.model_dump_json(indent=1))
    _print_about(data.about)
    for row in range(min(examples, len(data.train))):
        for array in data.train.inputs:
            text = in_a_line(shown_text(data.about.task, array[row]), _SHOWN_CHARACTERS)
            print(harmless(f"class {data.train.labels[row]}: {text}"))


@app.command()
def write(
    task: Task,
    to: Annotated[Path, typer.Option("--to", help="A new folder.")],
    size: Size = "laptop",
    source: Source = "",
    seed: Seed = 0,
    tsv: Annotated[bool, typer.Option("--tsv", help="ListOps as LRA's own files instead of arrays.")] = False,
) -> None:
    """Write a task's data into a folder: arrays of each split, and what they are."""
    from aira_lib.lra.data.export import write_arrays, write_listops

    data = _data(task, size, source, seed)
    (write_listops if tsv else write_arrays)(data, to)
    _print_about(data.about)
    print(harmless(f"{to}: written"))


def _data(task: str, size: str, source: str, seed: int) -> "LraData":
    from aira_lib.lra.data import lra_data, size_of

    size_of(task, size)  # says which there are
    return lra_data(task, size, source, seed, note)  # type: ignore[arg-type]


def _print_about(about: "About") -> None:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    lengths = about.provenance["lengths"]
    for column in ("split", "rows", "shortest", "median", "longest", "cut", "most frequent class"):
        table.add_column(column, justify="left" if column == "split" else "right")
    for split, rows in about.rows.items():
        counts = (f"{lengths[split][name]:,}" for name in ("shortest", "median", "longest", "cut"))
        table.add_row(split, f"{rows:,}", *counts, f"{max(about.provenance['classes'][split].values()):.1%}")
    ceilings = Table(box=SIMPLE_HEAD, pad_edge=False)
    ceilings.add_column("what a reading of the test knows")
    ceilings.add_column("gets right", justify="right")
    for each in about.ceilings:
        ceilings.add_row(each.name, f"{each.accuracy:.1%} ± {each.standard_error:.1%}")
    console = result_console()
    unit = "tokens" if about.task == "listops" else "bytes"
    head = f"{about.task}, size {about.size}: rows of {about.max_len:,} {unit}, from {about.source}, seed {about.seed}"
    console.print(head, markup=False, soft_wrap=True)
    console.print(table)
    console.print(ceilings)
    if about.stand_in:
        console.print(f"Stand-in: {about.stand_in}", markup=False, soft_wrap=True)
