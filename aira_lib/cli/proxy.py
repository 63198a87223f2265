"""The command group `aira proxy`: score designs at small scale."""

from pathlib import Path
from typing import Annotated

import typer

from aira_lib.cli.options import a_place

app = typer.Typer(
    no_args_is_help=True, help="The proxy, which scores designs at small scale: evaluate, check how far to trust it."
)


Designs = Annotated[str, typer.Option(help="How many random designs, or a file of patterns, one a line.")]
Small = Annotated[
    str | None,
    typer.Option(envvar="AIRA_PROFILE", help="paper, laptop or a study's file; default: paper with CUDA, else laptop."),
]
Seeds = Annotated[str, typer.Option(help="Of weights and batches, such as 0,1,2; default: the profile's.")]
Task = Annotated[str | None, typer.Option(help="The task whose data and primitives count; default: MAD.")]
Output = Annotated[Path, typer.Option(help="Folder for fidelity.json, fidelity.svg and fidelity.html.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what it would take.")]
Store = Annotated[
    str | None,
    typer.Option(
        envvar="AIRA_STORE", callback=a_place, help="Where records are kept; evaluations are shared beside them."
    ),
]


@app.command()
def evaluate(
    patterns: Annotated[
        list[str] | None, typer.Argument(metavar="PATTERN...", help="Designs, such as '4(A-M)-2(Mb-M)'.")
    ] = None,
    file: Annotated[Path | None, typer.Option(help="A file of further patterns, one a line.")] = None,
    profile: Annotated[
        str | None,
        typer.Option(
            envvar="AIRA_PROFILE", help="paper, laptop or a study's file; default: paper with CUDA, else laptop."
        ),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, max=2**63 - 1, help="Of weights and batches; default: the profile's.")
    ] = None,
    task: Annotated[str | None, typer.Option(help="The task whose data and primitives count; default: MAD.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what is there and what would be trained.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    store: Store = None,
) -> None:
    """Train and score designs as a search does, unless the store of evaluations has their scores."""
    from aira_lib.fidelity.evaluate_designs import evaluate_designs, read_patterns
    from aira_lib.settings import Settings

    designs = read_patterns(patterns or [], file)
    evaluate_designs(designs, Settings.from_environment(store), profile, seed, task, dry_run, as_json)


@app.command()
def fidelity(
    small: Small = None,
    large: Annotated[
        str, typer.Option(help="paper, laptop, a study's file, or such as 4x: the small one for 4 times the epochs.")
    ] = "4x",
    designs: Designs = "24",
    seeds: Seeds = "",
    task: Annotated[
        list[str] | None,
        typer.Option(help="The task whose data and primitives count; several compare data sets. Default: MAD."),
    ] = None,
    output: Output = Path("fidelity"),
    dry_run: DryRun = False,
    store: Store = None,
) -> None:
    """Measure how well a proxy ranks designs against a larger or longer one.

    By task and for their mean; with --task given several times, by data set and for all together.
    """
    from aira_lib.fidelity.commands import measure_fidelity

    measure_fidelity(
        small=small, large=large, designs=designs, seeds=seeds, tasks=task or [], output=output, dry_run=dry_run,
        store=store,
    )  # fmt: skip


@app.command()
def stopping(
    profile: Small = None,
    designs: Designs = "24",
    seeds: Seeds = "",
    task: Task = None,
    output: Output = Path("stopping"),
    dry_run: DryRun = False,
    store: Store = None,
) -> None:
    """Train designs to their end and show what stopping early would have saved, and what it would have lost."""
    from aira_lib.fidelity.commands import measure_stopping

    measure_stopping(profile, designs, seeds, task, output, dry_run, store)
