"""The command group `aira jobs`: which jobs there are, how they are, what they print; ending them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from aira_lib.cli.options import Store, StudyFile, settings_of, study_of
from aira_lib.foreign import harmless

if TYPE_CHECKING:
    from aira_lib.launch.launcher import Launcher, Status

app = typer.Typer(no_args_is_help=True, help="Jobs: list them, show one, follow its log, end it.")
Name = Annotated[str, typer.Argument(help="Of the job, as `aira jobs list` gives it.")]
By = Annotated[str, typer.Option("--launcher", help="Who started it.")]


def _launcher(name: str) -> "Launcher":
    from aira_lib.launch.launchers import LAUNCHERS

    return LAUNCHERS.named(name)()


@app.command(name="list")
def list_jobs(
    of: Annotated[
        str | None, typer.Argument(metavar="STUDY|FOLDER", help="Only jobs of this study, or those in a folder.")
    ] = None,
    launcher: By = "local",
) -> None:
    """List jobs: their names, how they are, and what they make."""
    from aira_lib.launch.local import LocalLauncher

    study = None
    if of and Path(of).is_dir():
        jobs: Launcher = LocalLauncher(Path(of))
    else:
        jobs = _launcher(launcher)
        study = _study_name(of) if of else None
    for job in jobs.jobs():
        if study is None or job.study == study:
            print(harmless(f"{job.name}  {_said(jobs.status(job.name))}  {job.study} {job.unit}".rstrip()))


def _study_name(text: str) -> str:
    """The name of a study: of a file, that which it says."""
    if not text.endswith((".yaml", ".yml", ".json")):
        return text
    from aira_lib.study.reading import load_study

    return load_study(text).name


@app.command()
def command(
    study: StudyFile,
    unit: Annotated[str, typer.Option(help="The pretraining point, as `aira run` and errors name it.")],
    store: Store = None,
    launcher: By = "local",
) -> None:
    """Print the exact command that trains a point, and the one that this starts where several ranks do."""
    from aira_lib.local.commands import commands_of

    for line in commands_of(study, study_of(study), unit, settings_of(store), _launcher(launcher)):
        print(harmless(line))


@app.command()
def show(name: Name, launcher: By = "local") -> None:
    """Show one job: its command, how it is, why it failed, where its files are."""
    jobs = _launcher(launcher)
    place = jobs.place(name)  # refuses a name that no job has
    job = next(job for job in jobs.jobs() if job.name == name)
    status = jobs.status(name)
    facts = {
        "job": job.name,
        "of": f"{job.study} {job.unit}".strip(),
        "ranks": _ranks(job.nodes, job.ranks_per_node),
        "state": _said(status),
        "files": place,
    }
    for key, value in facts.items():
        print(harmless(f"{key + ':':8} {value}"))
    print(harmless(jobs.dryrun(job)))
    for line in status.failure.lines if status.failure else ():
        print(harmless(f"  | {line}"))


@app.command()
def logs(
    name: Name,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the job has ended.")] = False,
    launcher: By = "local",
) -> None:
    """Print what a job's ranks have printed."""
    for line in _launcher(launcher).logs(name, follow):
        print(harmless(line), flush=follow)


@app.command()
def cancel(name: Name, launcher: By = "local") -> None:
    """End a job: its ranks have 30 s to save what they have."""
    jobs = _launcher(launcher)
    jobs.cancel(name)
    print(f"{name}: {_said(jobs.status(name))}")


@app.command()
def sweep() -> None:
    """Delete the pods of candidates, on the cluster that AIRA_CLUSTER describes, whose search is gone."""
    from aira_lib.sandbox.sweep import sweep_here

    swept = sweep_here()
    print(f"{len(swept)} pods deleted")
    for name in swept:
        print(harmless(name))


def _said(status: "Status") -> str:
    from aira_lib.console import duration

    took = f" ({duration(status.seconds)})" if status.seconds is not None else ""
    if not status.failure:
        return f"{status.state}{took}"
    again = "; started again, it may get on" if status.failure.retryable else ""
    return f"{status.state}{took}: {status.failure.reason}{again}"


def _ranks(nodes: int, ranks: int) -> str:
    return str(ranks) if nodes == 1 else f"{nodes} nodes of {ranks}"
