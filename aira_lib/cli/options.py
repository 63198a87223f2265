"""Arguments that several commands have, and what they stand for."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from aira_lib.errors import UserError

if TYPE_CHECKING:
    from aira_lib.settings import Settings
    from aira_lib.study import Study

MOST_AT_ONCE = 10_000
"""Of processes that may be asked for."""


def a_place(store: str | None) -> str | None:
    """The store of an option, for its `callback`.

    Raises:
        UserError: an empty text, as an unset variable of a shell gives.
    """
    if store == "":
        raise UserError("--store '': an empty text names no folder; name one such as runs")
    return store


def a_folder_here(folder: Path | None) -> Path | None:
    """A folder of this machine that an option names, for its `callback`.

    Raises:
        UserError: a bucket, which a path would make a folder named s3: of.
    """
    if folder is not None and ":/" in str(folder):
        raise UserError(f"--to {folder}: this command writes into a folder of this machine; copy it to a bucket then")
    return folder


StudyFile = Annotated[Path, typer.Argument(metavar="STUDY", help="A study, such as pipelines/compose/laptop.yaml.")]
Store = Annotated[
    str | None,
    typer.Option(
        help="Where records are kept: a folder, file:// or s3://bucket/prefix.", envvar="AIRA_STORE", callback=a_place
    ),
]
Tracking = Annotated[
    str | None,
    typer.Option(
        envvar="MLFLOW_TRACKING_URI", help="MLflow tracking URI, or 'none'; default: SQLite beside the store."
    ),
]
Workers = Annotated[int | None, typer.Option(min=1, max=MOST_AT_ONCE, help="Units at once; default: the cores.")]
ClusterFile = Annotated[
    Path,
    typer.Option("--cluster", envvar="AIRA_CLUSTER", help="What the cluster is: a YAML file (docs/install.md)."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Unit = Annotated[str | None, typer.Option(help="Only this unit, as `aira run --dry-run` and errors name them.")]
TrustAgents = Annotated[
    bool,
    typer.Option(
        "--trust-agents",
        envvar="AIRA_TRUST_AGENTS",
        help="Run agents' code even where nothing isolates it from secrets (docs/sandbox.md).",
    ),
]


def study_of(path: Path) -> "Study":
    """Read a study's file, and refuse what can be told to be wrong before anything is made.

    Raises:
        UserError: one line.
    """
    from aira_lib.flow.checks import check_study
    from aira_lib.study.reading import load_study

    study = load_study(path)
    check_study(study)
    return study


def settings_of(store: str | None) -> "Settings":
    """The settings of the environment; `store` wins over AIRA_STORE.

    Raises:
        UserError: one of them makes no sense.
    """
    from aira_lib.settings import Settings

    return Settings.from_environment(store)


def say_trust(trusted: bool) -> None:
    """Tell this process and those that it starts that agents are trusted."""
    from aira_lib.settings import TRUST_AGENTS

    if trusted:
        os.environ[TRUST_AGENTS] = "1"
