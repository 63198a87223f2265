"""What a person at a terminal asks for: a study, one stage, a page."""

import time
import webbrowser
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

from rich.table import Table

from aira_lib.console import Console, duration
from aira_lib.device import cores
from aira_lib.errors import INTERRUPTED, MissingDependency, StoreError, UserError
from aira_lib.flow.checks import check_downstream, check_here, check_resources, check_text
from aira_lib.flow.finished import finished_units, units_to_make, whole_study
from aira_lib.flow.run import record_at, run_stage
from aira_lib.flow.stage import ALONE, STAGES
from aira_lib.flow.units import search_units
from aira_lib.foreign import harmless
from aira_lib.local.display import tally
from aira_lib.local.run import LocalRun, PipelineFailed, carry_waiting, check_writable, outlook_of, run_locally
from aira_lib.local.trust import check_pending
from aira_lib.planning.estimate import GPU_FLOPS_PER_SECOND, estimate
from aira_lib.planning.resources import resource_lines
from aira_lib.records import PAGE
from aira_lib.search.page import with_report
from aira_lib.settings import Settings
from aira_lib.store import RecordFolder, open_store, place_of
from aira_lib.study import Study, digest
from aira_lib.track.address import check_address, how_to_look, is_database, sqlite_address
from aira_lib.track.follow import experiment_of
from aira_lib.track.progress import Progress

WORTH_A_GPU = 1e17


def run_study(
    study: Study, settings: Settings, workers: int | None, tracking: str | None, dry_run: bool, open_report: bool
) -> int:
    """Run (or only plan) a study and say what came of it; returns the exit code."""
    check_here(study)
    check_writable(study, settings)
    tracked = tracking_uri(tracking, settings)
    console = Console()
    workers = workers or cores()
    show_plan(console, study, settings, workers)
    check_text(study)
    check_downstream(study)
    check_pending(study, settings)
    if dry_run:
        return 0
    check_resources(study)
    _need("kfp", "running a study", "kfp")
    _need("matplotlib", "the report", "report")
    started = time.monotonic()
    run = LocalRun(study, settings, workers, tracked)
    if made := whole_study(study, settings):
        console.print(f"Nothing was recomputed: all {len(made)} records were there already.", highlight=False)
        carry_waiting(run, made)
        return _close(console, run, report_record(study, settings), open_report)
    try:
        units = run_locally(run, console)
    except KeyboardInterrupt:
        console.print("Interrupted; the same command goes on from what is finished.")
        return INTERRUPTED
    except PipelineFailed as failure:
        console.print(f"aira: {failure}", markup=False)
        return 1
    _summary(console, units, time.monotonic() - started)
    record = record_at(run.outcomes.of("report").made[ALONE], settings)
    link_searches(study, record)
    _close(console, run, record, open_report)
    return _say_failures(console, run)


def _close(console: Console, run: LocalRun, record: RecordFolder, open_report: bool) -> int:
    say_runs(console, run)
    show_page(report_page(record, run.settings), open_report)
    return 0


def _say_failures(console: Console, run: LocalRun) -> int:
    """Say which units the results lack, since so few failed that the study went on; the exit code."""
    failures = run.outcomes.failures(*(stage.name for stage in STAGES.entries() if stage.per != "study"))
    for each in failures:
        line = f"{each.stage} {each.unit} failed, and the results are without it: {each.reason}"
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    if failures:
        console.print(f"The same command tries {'it' if len(failures) == 1 else f'these {len(failures)}'} again.")
    return 1 if failures else 0


def say_runs(console: Console, run: LocalRun) -> None:
    """Say how to look at the runs, where they are logged."""
    if run.tracking:
        how = how_to_look(run.tracking, experiment_of(run.study.name))
        console.print(f"Runs: {how}", soft_wrap=True, highlight=False, markup=False)


def show_plan(console: Console, study: Study, settings: Settings, workers: int) -> None:
    """Print what the study will do and cost."""
    rows = estimate(study)
    table = Table(title=f"Study {study.name} ({digest(study)[:12]})", title_justify="left")
    for column in ("stage", "units", "what", "FLOPs", "core time"):
        table.add_column(column, justify="left" if column in ("stage", "what") else "right")
    for row in rows:
        flops = f"{row.flops:.1e}" if row.flops else ""
        time_of = f"at most {duration(row.at_most)}" if row.at_most else duration(row.seconds)
        table.add_row(row.stage, str(row.units), row.what, flops, time_of)
    console.print(table)
    for line in resource_lines(study):
        console.print(f"A unit of {line}", highlight=False, soft_wrap=True)
    finished = finished_units(study, settings, search_units(study))
    outlook = outlook_of(LocalRun(study, settings, workers, None))
    wall = outlook.seconds_left([Progress(unit.stage, unit.name, status="reused") for unit in finished])
    measured = sum(row.seconds for row in rows if outlook.rates.of(row.stage)) >= sum(row.seconds for row in rows) / 2
    how = "by what this machine took before" if measured else "estimated, not measured"
    about = f"about {duration(wall)} ({how})"
    if len(finished) < rows[0].units and any(row.at_most for row in rows):
        about = f"at most {duration(wall)} (by the searches' hours; nobody can foretell what a candidate takes)"
    what = "The rest, as far as it is not there yet," if finished else "All of it"
    console.print(
        f"{len(finished)} of {rows[0].units} searches are finished in {place_of(open_store(settings.store).uri)}. "
        f"{what} on {workers} worker{'s' * (workers > 1)}: "
        f"{about}.",
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
    """The MLflow URI to use: what was given, or SQLite beside a local store; None for 'none'.

    Without MLflow, or with its client alone, nothing is logged there, unless a URI was given.

    Raises:
        MissingDependency: a URI was given, and MLflow is not installed, or only its client where a database was named.
        UserError: MLflow takes no such URI.
    """
    if given == "none":
        return None
    if given:
        check_address(given)
        _need("mlflow", "MLflow tracking", "tracking")
        if is_database(given):
            _need("sqlalchemy", "MLflow in a database", "tracking")
        return given
    if find_spec("mlflow") is None or find_spec("sqlalchemy") is None:
        return None
    return sqlite_address(open_store(settings.store).local("mlflow.db", settings.scratch))


def run_one_stage(stage: str, study: Study, name: str | None, settings: Settings) -> None:
    """Run all units of one stage, or the named one, in this process.

    Raises:
        UserError: a stage before this one has not been run, or there is no such unit.
    """
    if settings.tracking:
        check_address(settings.tracking)
    check_resources(study, [stage])
    console = Console()
    for unit, inputs in units_to_make(stage, study, name, settings):
        started = time.monotonic()
        made = run_stage(study, unit, settings, inputs, partial(console.print, highlight=False, soft_wrap=True))
        how = "was there already" if made.reused else f"made in {duration(time.monotonic() - started)}"
        how += f", {harmless(made.note)}" * bool(made.note)
        console.print(
            f"{stage} {unit.name}: {how}\n  {place_of(made.uri)}", highlight=False, soft_wrap=True, markup=False
        )


def report_record(study: Study, settings: Settings) -> RecordFolder:
    """The record of the report on all units of a study.

    Raises:
        UserError: one of them is not finished.
    """
    ((unit, _),) = units_to_make("report", study, None, settings)
    return RecordFolder(open_store(settings.store), unit.folder(study))


def report_page(record: RecordFolder, settings: Settings) -> Path:
    """The local file of a finished report."""
    return record.fetch(settings.scratch) / "report.html"


def link_searches(study: Study, report: RecordFolder) -> None:
    """Have the page of each search lead to the report; a courtesy, which a store may refuse."""
    store = report.store
    files = report.files().partition("/")[2]  # the study's folder is both pages'
    for unit in search_units(study):
        name = f"{unit.folder(study)}/{PAGE}"
        with suppress(StoreError, UnicodeDecodeError):
            page = store.read(name).decode()
            if (linked := with_report(page, f"../../{quote(files)}/report.html")) != page:
                store.write(name, linked.encode())


def show_page(page: Path, open_it: bool) -> None:
    """Say where the report is, and open it if asked."""
    Console().print(f"Report: {page}", soft_wrap=True, highlight=False)
    if open_it and not webbrowser.open(page.as_uri()):
        raise UserError(f"no browser could be started; open {page} yourself")


def _need(module: str, what: str, extra: str) -> None:
    if find_spec(module) is None:
        raise MissingDependency(what, extra)
