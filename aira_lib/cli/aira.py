"""The command line: arguments in, one clear line out. What it starts lives elsewhere and is imported late."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from aira_lib import __version__
from aira_lib.cli import (
    data,
    designs,
    evaluate,
    features,
    foreign_models,
    jobs,
    literature,
    models,
    proxy,
    rescore,
    run,
    runs,
    scores,
    search,
    stages,
    store,
    tasks,
)
from aira_lib.errors import UserError, from_os_error

app = typer.Typer(
    name="aira",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="Research agents discover neural architectures: search, aggregate, scale, pretrain, compare.\n\n"
    "Start with [bold]aira run pipelines/compose/laptop.yaml[/] (add --dry-run to see what it would do). "
    "A study is one YAML file; its records lie in runs/ and nothing in them is ever computed twice.",
)

for part in (
    run.app,
    runs.app,
    search.app,
    scores.app,
    features.app,
    stages.app,
    evaluate.app,
    foreign_models.app,
    designs.app,
    rescore.app,
):
    app.add_typer(part)
app.add_typer(tasks.app, name="tasks")
app.add_typer(literature.app, name="literature")
app.add_typer(models.models_app, name="models")
app.add_typer(proxy.app, name="proxy")
app.add_typer(store.app, name="store")
app.add_typer(jobs.app, name="jobs")
app.add_typer(runs.runs_app, name="runs")
app.add_typer(data.app, name="data")


def main() -> None:
    """Run the command line; a user's mistake is one line and exit code 2."""
    try:
        sys.exit(app(standalone_mode=False) or 0)
    except UserError as error:
        _fail(error)
    except OSError as os_error:
        mendable = from_os_error(os_error)
        if mendable is None:
            raise
        _fail(mendable)
    except _UsageError as usage:
        _explain(usage)
    except typer.Abort:
        sys.exit(1)


_UsageError: type[Exception] = typer.BadParameter.__mro__[1]
"""Of the parser of arguments, which typer brings with it; it has no public name for it."""


def _explain(usage: Any) -> None:
    """One line for a mistake in the arguments; help where there are none at all."""
    if type(usage).__name__ == "NoArgsIsHelpError":
        usage.show()
        sys.exit(usage.exit_code)
    command = usage.ctx.command_path if usage.ctx else "aira"
    message = " ".join(usage.format_message().split()).rstrip(".")
    _fail(UserError(f"{message[:1].lower()}{message[1:]}; see {command} --help"))


def _fail(error: UserError) -> None:
    # A name of a file may hold bytes that are no text, and a terminal may have few letters.
    encoding = sys.stderr.encoding or "utf-8"
    print(f"aira: {error}".encode(encoding, "backslashreplace").decode(encoding), file=sys.stderr)
    sys.exit(error.exit_code)


def _version(value: bool) -> None:
    if value:
        print(f"aira {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show it.")] = False,
) -> None:
    pass


@app.command()
def doctor(
    cluster: Annotated[bool, typer.Option("--cluster", help="Look at a Kubernetes cluster instead.")] = False,
    file: Annotated[
        Path | None, typer.Argument(help="With --cluster: what it is (docs/install.md); default: AIRA_CLUSTER.")
    ] = None,
) -> None:
    """Say what is installed, which fast paths this machine has, what is missing and how to get it.

    With --cluster: what the cluster that KUBECONFIG names, or that this pod runs in, lacks for a study, and what to do.
    """
    if cluster or file:
        from aira_lib.cluster.reading import cluster_here, load_cluster
        from aira_lib.remote.doctor.examine import examine as examine_cluster

        if not cluster:
            raise UserError(f"{file}: name it behind --cluster to look at that cluster, or leave it away")
        there = load_cluster(file) if file else cluster_here()
        if there is None:
            raise UserError("no cluster is named; give its file (docs/install.md), or set AIRA_CLUSTER to it")
        raise typer.Exit(examine_cluster(there))
    from aira_lib.cli.doctor import examine

    raise typer.Exit(examine())
