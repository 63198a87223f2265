"""`aira submit`, `aira export` and the command group `aira runs`: runs of a cluster, and the files that start them."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from aira_lib.cli.options import AsJson, ClusterFile
from aira_lib.errors import INTERRUPTED, UserError, writing
from aira_lib.foreign import harmless

if TYPE_CHECKING:
    from aira_lib.cluster.run import Run
    from aira_lib.cluster.runs import RunsApi
    from aira_lib.cluster.section import Cluster

app = typer.Typer()
runs_app = typer.Typer(
    no_args_is_help=True, help="Runs of whole studies on a cluster: list them, show one, follow it, end it."
)
RunId = Annotated[str, typer.Argument(metavar="RUN", help="Its id, as `aira runs list` and the Kubeflow UI give it.")]


@app.command()
def submit(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What is to run (docs/gitops.md).")],
    cluster: ClusterFile,
    follow: Annotated[
        bool, typer.Option("--follow", help="Wait for its end, and fail if it fails; leaving leaves it alone.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be sent; start nothing.")] = False,
) -> None:
    """Start a run file on a cluster, once: the same content is the same run, however often it is submitted."""
    from aira_lib.cluster.api import connect
    from aira_lib.cluster.reading import load_cluster
    from aira_lib.cluster.runs import RunsApi
    from aira_lib.remote.follow import summary
    from aira_lib.remote.run_file import load_run_file
    from aira_lib.remote.submit import Submitter, dryrun

    there = load_cluster(cluster)
    wanted = load_run_file(file, there)
    if dry_run:
        print(json.dumps(dryrun(wanted, there, RunsApi(there, reads=0)), indent=2, ensure_ascii=False))
        return
    runs = RunsApi(there)
    submitted = Submitter(there, runs, connect(there.kubeflow.namespace)).submit(wanted)
    if submitted.run is None:
        _say(f"{wanted.name}: {_without_run(submitted.before, wanted.file.attempt, file)}")
        return
    run = submitted.run
    how = "started" if submitted.new else f"was there already: {summary(run)}"
    if run.ended and not run.succeeded and wanted.file.state == "running":
        how += f"; to run it again, raise attempt ({wanted.file.attempt}) in {file}"
    _say(f"{wanted.name}: {how}\n  run {run.id}{_page(there, run.id)}")
    if (follow or wanted.file.follow) and wanted.file.state == "running":
        raise typer.Exit(_followed(runs, run.id))


@app.command()
def export(
    run: RunId,
    cluster: ClusterFile,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The YAML file to write; default: none.")
    ] = None,
) -> None:
    """Print the run file of a run that was started in the Kubeflow UI, to be kept in git."""
    from aira_lib.cluster.reading import load_cluster
    from aira_lib.remote.export import exported

    runs = _runs(load_cluster(cluster))
    text = exported(_run(runs, run), runs)
    if output is None:
        _say(text.rstrip())
        return
    with writing(output):
        output.write_text(text, encoding="utf-8")
    print(f"{output}: submit it, or keep it in git")


@runs_app.command(name="list")
def list_runs(
    cluster: ClusterFile,
    most: Annotated[int, typer.Option(min=1, max=10_000, help="Runs at most, newest first.")] = 20,
    every: Annotated[bool, typer.Option("--all", help="Those that a run started for its units, too.")] = False,
    as_json: AsJson = False,
) -> None:
    """List runs of the cluster's namespace, newest first."""
    from aira_lib.cluster.reading import load_cluster

    found = _runs(load_cluster(cluster)).list(most=most, parts=every)
    if as_json:
        print(json.dumps([_plain(each) for each in found]))
        return
    for each in found:
        when = f"{each.created:%Y-%m-%d %H:%M}" if each.created else ""
        _say(f"{each.id}  {each.state.lower():9}  {when:16}  {each.name}")


@runs_app.command()
def show(run: RunId, cluster: ClusterFile, as_json: AsJson = False) -> None:
    """Show one run: its state, its tasks, why it failed, with what it was started."""
    from aira_lib.cluster.reading import load_cluster
    from aira_lib.remote.follow import summary

    there = load_cluster(cluster)
    found = _run(_runs(there), run)
    if as_json:
        print(json.dumps(_plain(found)))
        return
    _say(f"{found.name}: {summary(found)}\n  run {found.id}{_page(there, found.id)}")
    for name, value in found.parameters.items():
        _say(f"  {name}: {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}")
    for task in found.tasks:
        _say(f"  {task.state.lower():9}  {task.name}  {task.pod}".rstrip())


@runs_app.command()
def watch(run: RunId, cluster: ClusterFile) -> None:
    """Follow a run to its end, and fail if it fails; leaving leaves it alone."""
    from aira_lib.cluster.reading import load_cluster

    raise typer.Exit(_followed(_runs(load_cluster(cluster)), run))


@runs_app.command()
def cancel(run: RunId, cluster: ClusterFile) -> None:
    """End a run and those that it has started; what is finished stays in the store, where the same study goes on."""
    from aira_lib.cluster.reading import load_cluster
    from aira_lib.remote.parts import end_whole

    there = load_cluster(cluster)
    runs = _runs(there)
    parts = end_whole(runs, there.kubeflow.experiment, run)
    _say(f"{run}: {_run(runs, run).state.lower()}" + f", and {parts} runs of its units" * bool(parts))


def _runs(cluster: "Cluster") -> "RunsApi":
    from aira_lib.cluster.runs import RunsApi

    return RunsApi(cluster, reads=2)  # a person is waiting


def _without_run(before: str | None, attempt: int, file: Path) -> str:
    if before:
        return f"{before}, and deleted since; to run it again, raise attempt ({attempt}) in {file}"
    return "never started, and not to be (state: terminated)"


def _run(runs: "RunsApi", run_id: str) -> "Run":
    if (found := runs.get(run_id)) is None:
        raise UserError(f"run {run_id}: Kubeflow has none of this id; `aira runs list` has all")
    return found


def _followed(runs: "RunsApi", run_id: str) -> int:
    from aira_lib.remote.follow import follow, leaving

    with leaving(_say, run_id):
        try:
            return 0 if follow(runs, run_id, _say).succeeded else 1
        except KeyboardInterrupt:
            _say(f"Left; the run goes on: aira runs watch {run_id}")
            return INTERRUPTED


def _page(cluster: "Cluster", run_id: str) -> str:
    return f": {cluster.kubeflow.ui.rstrip('/')}/#/runs/details/{run_id}" if cluster.kubeflow.ui else ""


def _plain(run: "Run") -> dict[str, object]:
    return {
        "id": run.id,
        "name": run.name,
        "state": run.state,
        "error": run.error,
        "created": run.created.isoformat() if run.created else None,
        "finished": run.finished.isoformat() if run.finished else None,
        "parameters": run.parameters,
        "tasks": [{"name": task.name, "state": task.state, "error": task.error, "pod": task.pod} for task in run.tasks],
    }


def _say(text: str) -> None:
    print(harmless(text), flush=True)
