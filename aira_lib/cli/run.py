"""`aira run` and `aira compile`: a whole study, here or on a cluster."""

from pathlib import Path
from typing import Annotated

import typer

from aira_lib.cli.options import (
    MOST_AT_ONCE,
    ClusterFile,
    Store,
    StudyFile,
    Tracking,
    TrustAgents,
    Workers,
    say_trust,
    settings_of,
    study_of,
)

app = typer.Typer()


@app.command()
def run(
    study: StudyFile,
    store: Store = None,
    workers: Workers = None,
    tracking: Tracking = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the plan, its cost and time; start nothing.")
    ] = False,
    open_report: Annotated[bool, typer.Option("--open", help="Open the report in a browser at the end.")] = False,
    trust_agents: TrustAgents = False,
) -> None:
    """Run a whole study on this machine: the very pipeline that a cluster runs.

    Interrupt it whenever you like: the same command goes on from what is finished.
    """
    from aira_lib.local.session import run_study

    say_trust(trust_agents)
    raise typer.Exit(run_study(study_of(study), settings_of(store), workers, tracking, dry_run, open_report))


@app.command(name="compile")
def compile_pipeline(
    cluster: ClusterFile,
    study: Annotated[
        Path | None, typer.Argument(metavar="[STUDY]", help="A study that it runs; none: one is chosen in the form.")
    ] = None,
    pipeline: Annotated[str, typer.Option(help="compose: all of a study; or search, scale, smoke.")] = "compose",
    output: Annotated[Path, typer.Option("--output", "-o", help="The YAML file to write.")] = Path("aira.yaml"),
    parallelism: Annotated[
        int,
        typer.Option(min=1, max=MOST_AT_ONCE, help="Searches or pretraining points at once; the form may change it."),
    ] = 40,
    kubernetes: Annotated[
        bool, typer.Option("--kubernetes", help="Write Pipeline and PipelineVersion objects, for GitOps.")
    ] = False,
) -> None:
    """Compile a pipeline for a Kubeflow cluster: upload the YAML in the Kubeflow UI, or keep it in git.

    What the cluster is, its images, store, sizes of pods and names of secrets, stands in a file (docs/install.md).
    """
    from aira_lib.remote.compiling import compile_study

    compile_study(study_of(study) if study else None, cluster, output, pipeline, parallelism, kubernetes)
