"""What a person at a terminal asks for: a study, one stage, a compiled pipeline, a page."""

import json
import os
import subprocess
import tempfile
import time
import webbrowser
from collections.abc import Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from rich.console import Console
from rich.table import Table

from aira_lib.agents import model_named
from aira_lib.console import duration
from aira_lib.device import cores
from aira_lib.errors import MissingDependency, UserError
from aira_lib.flow.finished import finished_records, finished_units, units_to_make
from aira_lib.flow.run import run_stage
from aira_lib.flow.units import check_study, need_designs, search_units
from aira_lib.local.display import tally
from aira_lib.local.pipelines import pipeline_command
from aira_lib.local.run import LocalRun, PipelineFailed, run_locally
from aira_lib.planning.estimate import GPU_FLOPS_PER_SECOND, StageEstimate, estimate
from aira_lib.settings import Settings
from aira_lib.store import RecordFolder, open_store
from aira_lib.study import Study, canonical_json, digest

INTERRUPTED = 130
WORTH_A_GPU = 1e17
MAX_PARAMETER_BYTES = 10_000  # of all parameters of a run as JSON: the default of Kubeflow's API server


def run_study(
    study: Study, settings: Settings, workers: int | None, tracking: str | None, dry_run: bool, open_report: bool
) -> int:
    """Run (or only plan) a study and say what came of it; returns the exit code."""
    console = Console()
    workers = workers or cores()
    show_plan(console, study, settings, workers)
    if dry_run:
        return 0
    _need("kfp", "running a study", "kfp")
    _need("matplotlib", "the report", "report")
    for model in dict.fromkeys(model for agent in study.agents for model in agent.models):
        model_named(model)  # fails now rather than hours later where its packages are missing
    started = time.monotonic()
    run = LocalRun(study, settings, workers, tracking_uri(tracking, settings))
    records = finished_records(study, settings)
    if records:
        console.print(f"Nothing was recomputed: all {records} records were there already.", highlight=False)
        return _close(console, run, open_report)
    try:
        units = run_locally(run, console)
    except KeyboardInterrupt:
        console.print("Interrupted; the same command goes on from what is finished.")
        return INTERRUPTED
    except PipelineFailed as failure:
        console.print(f"aira: {failure}", markup=False)
        return 1
    _summary(console, units, time.monotonic() - started)
    return _close(console, run, open_report)


def _close(console: Console, run: LocalRun, open_report: bool) -> int:
    if run.tracking:
        console.print(f"Runs:   mlflow ui --backend-store-uri {run.tracking}", soft_wrap=True, highlight=False)
    show_page(report_page(run.study, run.settings), open_report)
    return 0


def show_plan(console: Console, study: Study, settings: Settings, workers: int) -> None:
    """Print what the study will do and cost."""
    rows = estimate(study)
    table = Table(title=f"Study {study.name} ({digest(study)[:12]})", title_justify="left")
    for column in ("stage", "units", "what", "FLOPs", "core time"):
        table.add_column(column, justify="left" if column in ("stage", "what") else "right")
    for row in rows:
        flops = f"{row.flops:.1e}" if row.flops else ""
        table.add_row(row.stage, str(row.units), row.what, flops, duration(row.seconds))
    console.print(table)
    finished = len(finished_units(study, settings, search_units(study)))
    wall = _wall_seconds(rows, workers)
    console.print(
        f"{finished} of {rows[0].units} searches are finished in {open_store(settings.store).uri}. "
        f"All of it on {workers} worker{'s' * (workers > 1)}: about {duration(wall)} (estimated, not measured).",
        highlight=False,
        soft_wrap=True,
    )
    total = sum(row.flops for row in rows)
    if total > WORTH_A_GPU:
        hours = total / GPU_FLOPS_PER_SECOND / 3600
        console.print(
            f"This is work for a cluster: {hours:,.0f} GPU hours at {GPU_FLOPS_PER_SECOND:.0e} FLOP/s (an H100 at "
            "about 40 % of its peak). `aira compile` writes the pipeline for one.",
            highlight=False,
            soft_wrap=True,
        )


def _wall_seconds(rows: Sequence[StageEstimate], workers: int) -> float:
    return sum(row.seconds / min(workers, max(row.units, 1)) for row in rows)


def _summary(console: Console, units: Sequence[object], seconds: float) -> None:
    counts = tally(units)  # type: ignore[arg-type]
    done = sum(c["done"] for c in counts.values())
    reused = sum(c["reused"] for c in counts.values())
    if done == 0:
        console.print(f"Nothing was recomputed: all {reused} records were there already.", highlight=False)
    else:
        again = f", {reused} were there already" if reused else ""
        console.print(f"Made {done} records in {duration(seconds)}{again}.", highlight=False)


def tracking_uri(given: str | None, settings: Settings) -> str | None:
    """The MLflow URI to use: what was given, or SQLite beside a local store; None for 'none' or without MLflow."""
    if given == "none" or find_spec("mlflow") is None:
        return None
    if given:
        return given
    return f"sqlite:///{open_store(settings.store).local('mlflow.db', settings.scratch)}"


def run_one_stage(stage: str, study: Study, name: str | None, settings: Settings) -> None:
    """Run all units of one stage, or the named one, in this process.

    Raises:
        UserError: a stage before this one has not been run, or there is no such unit.
    """
    console = Console()
    for unit, inputs in units_to_make(stage, study, name, settings):
        started = time.monotonic()
        made = run_stage(study, unit, settings, inputs, partial(console.print, highlight=False, soft_wrap=True))
        how = "was there already" if made.reused else f"made in {duration(time.monotonic() - started)}"
        console.print(f"{stage} {unit.name}: {how}\n  {made.uri}", highlight=False, soft_wrap=True)


def report_page(study: Study, settings: Settings) -> Path:
    """The local file of a finished report."""
    ((unit, _),) = units_to_make("report", study, None, settings)
    return RecordFolder(open_store(settings.store), unit.folder(study)).fetch(settings.scratch) / "report.html"


def show_page(page: Path, open_it: bool) -> None:
    """Say where the report is, and open it if asked."""
    Console().print(f"Report: {page}", soft_wrap=True, highlight=False)
    if open_it and not webbrowser.open(page.as_uri()):
        raise UserError(f"no browser could be started; open {page} yourself")


def compile_study(
    study: Study, output: Path, store: str, parallelism: int, image: str | None, kubernetes: bool
) -> None:
    """Write the pipeline of a study for a cluster, byte-identical for equal arguments.

    Raises:
        MissingDependency: kfp is not installed.
        UserError: the file's folder does not exist.
    """
    _need("kfp", "compiling a pipeline", "kfp")
    need_designs(study)
    check_study(study)
    if not output.absolute().parent.is_dir() or output.suffix != ".yaml":
        raise UserError(f"--output {output}: name a .yaml file in a folder that exists")
    environment = {**os.environ, **({"AIRA_IMAGE": image} if image else {})}
    given = canonical_json(study)  # the image that reads it is this version of AIRA: the defaults are the same
    with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as file:
        file.write(given)
        file.flush()
        command = [*pipeline_command(), "compile", "--study", file.name, "--store", store]
        command += ["--parallelism", str(parallelism), "--output", str(output)]
        subprocess.run(command + ["--kubernetes"] * kubernetes, check=True, env=environment)
    use = "keep it in git for Argo CD or Flux" if kubernetes else "upload it in the Kubeflow UI"
    print(f"{output}: {use}; the pipeline's parameters are study and store, with this study as the default")
    if (size := len(json.dumps({"study": given, "store": store}).encode())) > MAX_PARAMETER_BYTES:
        print(
            f"These are {size:,} bytes, and Kubeflow's API server takes {MAX_PARAMETER_BYTES:,} a run by default: "
            "raise its MAX_PARAMETER_BYTES"
        )


def _need(module: str, what: str, extra: str) -> None:
    if find_spec(module) is None:
        raise MissingDependency(what, extra)
