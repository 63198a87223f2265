"""`aira plan`, `verify`, `pattern` and `design`: the numbers of the paper and of designs."""

from pathlib import Path
from typing import Annotated

import typer

from aira_lib.cli.options import AsJson, Store, settings_of, study_of
from aira_lib.errors import UserError

app = typer.Typer()

design_app = typer.Typer(no_args_is_help=True, help="The published designs: list them, show one.")
app.add_typer(design_app, name="design")


@app.command(name="plan")
def training_plan(
    study: Annotated[str | None, typer.Argument(metavar="[STUDY]", help="'paper' (the default) or a study.")] = None,
    study_option: Annotated[str | None, typer.Option("--study", help="The same, as an option.")] = None,
    export: Annotated[Path | None, typer.Option(help="Write all runs to this .csv or .json file.")] = None,
    mfu: Annotated[float, typer.Option(help="Share of an H100's dense bf16 peak that training reaches.")] = 0.4,
    store: Store = None,
) -> None:
    """List the training runs of the paper or of a study: steps, tokens, FLOPs, GPU hours."""
    from aira_lib.console import result_console
    from aira_lib.planning.training_plan import plan_paper, plan_study

    if None not in (study, study_option) and study != study_option:
        raise UserError(f"two studies are named, {study} and {study_option}; name one")
    if not 0 < mfu <= 1:
        raise UserError(f"--mfu {mfu:g}: a share of the peak is above 0 and at most 1, such as 0.4")
    named = study if study is not None else study_option if study_option is not None else "paper"
    if named == "paper":
        plan_paper(result_console(), mfu, export)
    else:
        plan_study(result_console(), study_of(Path(named)), settings_of(store), mfu, export)


@app.command()
def verify(as_json: AsJson = False) -> None:
    """Recompute what the paper prints; exit 0 only if we agree wherever the paper agrees with itself."""
    from aira_lib.console import result_console
    from aira_lib.verify.report import verify as verify_paper

    raise typer.Exit(verify_paper(result_console(), as_json))


@app.command()
def pattern(
    text: Annotated[str, typer.Argument(metavar="PATTERN", help="Layers, such as '2(2A-M)-3(Mb-M)'.")],
    primitives: Annotated[
        int | None,
        typer.Option(min=2, help="The size of the search space whose widths count; default: 2 with A and M alone."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Draw a pattern's layers; its cost at each scale and the nearest published design."""
    from aira_lib.console import result_console
    from aira_lib.planning.patterns import show_pattern

    show_pattern(result_console(), text, primitives, as_json)


@design_app.command(name="list")
def design_list(as_json: AsJson = False) -> None:
    """List all published designs."""
    from aira_lib.console import result_console
    from aira_lib.planning.patterns import list_designs

    list_designs(result_console(), as_json)


@design_app.command(name="show")
def design_show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Such as 'AIRAformer-D/stretched@1B'.")],
    as_json: AsJson = False,
) -> None:
    """Draw one published design, with what the paper says of it and where it contradicts itself."""
    from aira_lib.console import result_console
    from aira_lib.planning.patterns import show_design

    show_design(result_console(), name, as_json)
