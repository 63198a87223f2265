"""What `aira search` does: a task from options, or a study from its file; run, shown while it runs, summed up."""

import os
import time
from dataclasses import fields, replace
from pathlib import Path

from aira_lib.console import Console, duration, result_console
from aira_lib.device import cores
from aira_lib.errors import INTERRUPTED, UserError
from aira_lib.flow.checks import check_here, check_resources, check_study, check_text
from aira_lib.flow.units import search_unit_named
from aira_lib.local.run import LocalRun, check_writable
from aira_lib.local.search_outlook import show_outlook
from aira_lib.local.search_run import SearchesRun, log_file, run_searches
from aira_lib.local.search_study import SearchOptions, study_for
from aira_lib.local.search_summary import show_summary
from aira_lib.local.session import run_one_stage, say_runs, tracking_uri
from aira_lib.local.trust import check_pending
from aira_lib.settings import Settings
from aira_lib.study import Study
from aira_lib.study.reading import load_study
from aira_lib.watch.follow import watch, watch_task

STUDY_SUFFIXES = (".yaml", ".yml", ".json")


def is_study_file(what: str) -> bool:
    """Whether an argument names a study's file rather than a task."""
    return what.endswith(STUDY_SUFFIXES)


def watch_searches(what: str | None, settings: Settings) -> None:
    """Follow the searches of a study's file, of a task, or (None) all in the store that are not finished."""
    if what and is_study_file(what):
        watch(load_study(what), settings)
    else:
        watch_task(what, settings)


def search_command(
    what: str | None,
    options: SearchOptions,
    unit: str | None,
    settings: Settings,
    workers: int | None,
    tracking: str | None,
    dry_run: bool,
) -> int:
    """Search, and return the exit code: 0, 1 (a search broke), 2 (a search met what the user can mend), 130.

    Raises:
        UserError: what and options do not go together, make no sense, the store cannot be written, or nothing would
            isolate agents' code from secrets.
    """
    if what is None:
        raise UserError("name a task (`aira tasks list` shows them) or a study's file; see aira search --help")
    if is_study_file(what):
        study, remark = _study_of_file(what, options), ""
    elif unit:
        raise UserError(f"--unit {unit}: only a study's file has units; {what} is searched with --seeds")
    else:
        study, remark = study_for(what, options)
    check_here(study)
    check_text(study)
    check_writable(study, settings)
    if unit:
        search_unit_named(study, unit)
        if not dry_run:
            run_one_stage("search", study, unit, settings)
            return 0
    console = result_console()
    run = _run_of(study, settings, workers, tracking)
    if remark:
        console.print(remark, highlight=False, markup=False, soft_wrap=True)
    if dry_run:
        show_outlook(console, run)
    check_pending(study, settings)
    if dry_run:
        return 0
    check_resources(study, ["search"])
    return _search(console, run)


def _study_of_file(path: str, options: SearchOptions) -> Study:
    given = [field.name for field in fields(options) if getattr(options, field.name) != field.default]
    if given:
        option = f"--{given[0].replace('_', '-')}"
        raise UserError(f"{option} belongs to `aira search TASK`; {path} says by itself what is searched and how")
    study = load_study(Path(path))
    check_study(study)
    return study


def _run_of(study: Study, settings: Settings, workers: int | None, tracking: str | None) -> LocalRun:
    """The searches on this machine: all its cores, shared evenly, unless AIRA_THREADS says how many a search gets."""
    available = cores()
    at_once = min(workers or available, sum(len(agent.seeds) for agent in study.agents))
    if not os.environ.get("AIRA_THREADS"):
        settings = replace(settings, threads=max(1, available // at_once))
    return LocalRun(study, settings, at_once, tracking_uri(tracking, settings))


def _search(console: Console, run: LocalRun) -> int:
    started = time.monotonic()
    try:
        ended = run_searches(run, console)
    except KeyboardInterrupt:
        console.print("Interrupted; the same command goes on from what is finished.")
        return INTERRUPTED
    took = time.monotonic() - started
    count = len(ended.searches)
    if ended.made:
        again = count - len(ended.made) - len(ended.failures)
        reused = f", {again} were there already" if again and not ended.failures else ""
        console.print(f"{len(ended.made)} of {count} searches made in {duration(took)}{reused}.", highlight=False)
    elif not ended.failures:
        console.print(f"Nothing was recomputed: all {count} searches were there already.", highlight=False)
    show_summary(console, run, ended.searches, took if ended.made else None)
    if ended.made:
        say_runs(console, run)
    return _say_failures(console, ended)


def _say_failures(console: Console, ended: SearchesRun) -> int:
    if not ended.failures:
        return 0
    mendable = [each for each in ended.failures if each.mendable]
    if mendable:
        raise UserError(f"search {mendable[0].unit}: {mendable[0].error}")
    for each in ended.failures:
        log = log_file(ended.logs, each.unit)
        console.print(f"aira: search {each.unit}: {each.error}; its log is {log}", markup=False, soft_wrap=True)
    console.print("What is finished stays; the same command goes on from it.")
    return 1
