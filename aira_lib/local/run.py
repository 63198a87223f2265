"""Run a study on this machine: start the pipeline, show how far it is, carry its logs to MLflow, end it cleanly.

The pipeline runs in a process group of its own. Whatever way this process ends, even by kill -9, the group ends too
(see `aira_lib.settings.hold_lifeline`), so the same command can start again at once and goes on from the records and
checkpoints that exist.
"""

import logging
import os
import platform
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from rich.console import Console

from aira_lib.errors import StoreError, UserError, writing
from aira_lib.flow.finished import known_points
from aira_lib.flow.outcomes import RunFolder
from aira_lib.flow.pipelines import pipeline_command
from aira_lib.flow.stage import POINTS, STAGES, STUDY_FILE, Unit
from aira_lib.flow.units import units_by_stage
from aira_lib.local.display import Display
from aira_lib.local.outlook import Outlook, most_of, sizes_of
from aira_lib.local.rates import rates_here
from aira_lib.planning.estimate import StageEstimate, estimate, estimate_searches
from aira_lib.planning.resources import points_at_once
from aira_lib.settings import Settings, lifeline
from aira_lib.store import RecordFolder, open_store
from aira_lib.store.files import write_file
from aira_lib.study import Study, canonical_json, digest, flat
from aira_lib.track.address import without_login
from aira_lib.track.follow import LOG_NAME, Carried, Follower
from aira_lib.track.log import read_events
from aira_lib.track.progress import Progress, read_progress

WAIT_FOR_PREVIOUS_SECONDS = 10.0
CARRIED = "carried.json"  # in the run's folder
SPOKEN = " aira: "  # how a stage begins the one line about what the user can mend


_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LocalRun:
    """A study on this machine. `tracking` is an MLflow URI, or None for no tracking."""

    study: Study
    settings: Settings
    workers: int
    tracking: str | None

    @property
    def folder(self) -> Path:
        """Local working files: lock, log, progress. Nothing in it is a result."""
        return open_store(self.settings.store).local(self.study.name, self.settings.scratch) / ".run"

    @property
    def name(self) -> str:
        """Under which the store keeps what became of its units, until the study is run here once more."""
        return f"local-{platform.node()}"

    @property
    def outcomes(self) -> RunFolder:
        """What became of its units."""
        return RunFolder(self.settings.store, self.study, self.name)

    @property
    def study_file(self) -> Path:
        """Where its processes read the study."""
        return self.folder / STUDY_FILE


class PipelineFailed(Exception):
    """The pipeline ended with an error that is not the user's; its text says where to look."""


def run_locally(run: LocalRun, console: Console) -> list[Progress]:
    """Run the whole pipeline and return how every unit ended.

    Raises:
        UserError: the study is already being run, or a unit met something the user can mend.
        PipelineFailed: a unit failed for another reason.
        KeyboardInterrupt: after everything was stopped.
    """
    check_store(run)
    with only_launcher(run):
        return _run(run, console)


@contextmanager
def only_launcher(run: LocalRun) -> Iterator[None]:
    """Hold the study's lock on this machine; processes with `stage_environment` end when it is let go.

    Raises:
        UserError: another launcher holds it.
    """
    deadline = time.monotonic() + WAIT_FOR_PREVIOUS_SECONDS
    while True:
        with lifeline(run.folder / "lock") as mine:
            if mine:
                yield
                return
        # The stages of a launcher that was killed need a moment to notice and end.
        if time.monotonic() > deadline:
            raise UserError(
                f"study {run.study.name} is already being run in {run.settings.store}; wait for it or stop it"
            )
        time.sleep(0.2)


def check_store(run: LocalRun) -> None:
    """Fail before anything is started where the store cannot be written."""
    store = open_store(run.settings.store)
    store.check()
    store.write(f"{run.study.name}/{STUDY_FILE}", (canonical_json(run.study) + "\n").encode())


def check_writable(study: Study, settings: Settings) -> None:
    """Fail where a store's folder on this machine cannot be written; nothing is left there. No bucket is asked.

    Raises:
        UserError: it cannot.
    """
    folder = open_store(settings.store).local(study.name, settings.scratch)
    with writing(folder.parent):
        there = next(path for path in (folder, *folder.parents) if path.exists())
        with tempfile.TemporaryFile(dir=there):
            pass


def _run(run: LocalRun, console: Console) -> list[Progress]:
    progress = run.folder / "progress"
    shutil.rmtree(progress, ignore_errors=True)
    progress.mkdir(parents=True)
    keep_study(run)
    display = Display(console, outlook_of(run))
    follower = follow_logs(run)
    with open(run.folder / "pipeline.log", "w", encoding="utf-8") as log:
        process = subprocess.Popen(
            _command(run),
            stdout=log,
            stderr=subprocess.STDOUT,
            env=stage_environment(run, progress),
            start_new_session=True,
        )
        try:
            while process.poll() is None:
                units = read_progress(progress)
                _count_points(run, display.outlook, units)
                display.show(units)
                time.sleep(0.25)
        finally:
            _end(process)
            display.show(read_progress(progress))
            display.close()
            if follower:
                say_waiting(run, follower.close("failed" if process.returncode else "finished"))
    units = read_progress(progress)
    if process.returncode:
        raise_what_ended(units, run.folder / "pipeline.log")
    return units


def keep_study(run: LocalRun) -> None:
    """Write the study for the processes of a run. It appears whole: one of them may be reading it at this moment.

    Raises:
        StoreError: the disk refuses.
    """
    write_file(run.study_file, canonical_json(run.study).encode())


def outlook_of(run: LocalRun) -> Outlook:
    """What a run will take, by the plan and by what this machine took before."""
    return _outlook(run, estimate(run.study))


def outlook_of_searches(run: LocalRun) -> Outlook | None:
    """What its searches alone will take, by the same; None where nobody knows what the scoring of a candidate takes."""
    row = estimate_searches(run.study)
    return _outlook(run, [StageEstimate(stage="search", **vars(row))]) if row else None


def _outlook(run: LocalRun, plan: Sequence[StageEstimate]) -> Outlook:
    rates = rates_here(run.study, run.settings, run.workers)
    return Outlook(plan, sizes_of(run.study), run.workers, rates, most_of(run.study))


def _count_points(run: LocalRun, outlook: Outlook, units: Sequence[Progress]) -> None:
    """Once designs are extrapolated, it is known how many there are: equal ones are trained once."""
    if outlook.known_units is None and any(u.stage == POINTS and u.status in ("done", "reused") for u in units):
        with suppress(UserError):  # a guess serves as well
            outlook.known_units = units_by_stage(run.study, known_points(run.study, run.settings))


def follow_logs(run: LocalRun) -> Follower | None:
    """Follow the logs of every unit's workspace: in the store where it is a folder, else in the scratch folder."""
    if run.tracking is None:
        return None
    carried = Carried(run.folder / CARRIED, run.tracking)
    return Follower(run.tracking, run.study.name, digest(run.study), lambda: logs_of(run), flat(run.study), carried)


def logs_of(run: LocalRun) -> Iterator[Path]:
    """The logs of all units that are here."""
    return run.folder.parent.glob(f"*/*/*/{LOG_NAME}")


def carry_waiting(run: LocalRun, units: Sequence[Unit]) -> None:
    """Carry the logs of finished units that have not arrived, such as when the server was down as they were made.

    Records hold their logs, so these are found again where a scratch folder was lost, or on another machine.
    """
    if run.tracking is None:
        return
    for unit in units:
        with suppress(StoreError):  # whatever is wrong with a record, tracking stops nothing
            _bring_log(RecordFolder(open_store(run.settings.store), unit.folder(run.study)), run.settings.scratch)
    if not Carried(run.folder / CARRIED, run.tracking).all_of(digest(run.study), logs_of(run)):
        follower = follow_logs(run)
        say_waiting(run, follower.close("finished") if follower else 0)


def _bring_log(record: RecordFolder, scratch: Path) -> None:
    """Copy a finished record's log, and the files that it attaches, to where they were made."""
    manifest = record.manifest()
    if manifest is None or (record.store.local(record.files(), scratch) / LOG_NAME).exists():
        return
    path = record.fetch(scratch, [LOG_NAME])
    attached = {event.values["path"] for event in read_events(path / LOG_NAME)[0] if event.kind == "artifact"}
    record.fetch(scratch, attached & {entry.name for entry in manifest.files})


def say_waiting(run: LocalRun, logs: int) -> None:
    """Say that logs have not arrived, if any have not."""
    if logs and run.tracking:
        where = without_login(run.tracking)
        _log.warning("MLflow at %s: %d logs have not arrived; the same command carries them", where, logs)


def _command(run: LocalRun) -> list[str]:
    arguments = ["--study", str(run.study_file), "--store", open_store(run.settings.store).uri]
    arguments += ["--parallelism", str(run.workers), "--points-at-once", str(points_at_once(run.study, run.workers))]
    arguments += ["--output", str(run.folder / "kfp"), "--name", run.name]
    return [*pipeline_command(), "run", *arguments]


def stage_environment(run: LocalRun, progress: Path) -> dict[str, str]:
    """The stages' environment. They do not track by themselves: SQLite wants one writer, this process."""
    threads = str(run.settings.threads)
    own = {
        "AIRA_PROGRESS": str(progress),
        "AIRA_SCRATCH": str(run.settings.scratch),
        "AIRA_THREADS": threads,
        "AIRA_LIFELINE": str(run.folder / "lock"),
        "OMP_NUM_THREADS": threads,
        "PYTHONUNBUFFERED": "1",
    }
    return {**{k: v for k, v in os.environ.items() if k != "MLFLOW_TRACKING_URI"}, **own}


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def raise_what_ended(units: Sequence[Progress], log: Path) -> NoReturn:
    """Raise what a pipeline ended by: of units that failed, the one without which it could not go on.

    Raises:
        UserError: where a user can mend it.
        PipelineFailed: where not.
    """
    failed = sorted((u for u in units if u.status == "failed"), key=_may_be_done_without)
    more = f" ({len(failed) - 1} more failed)" if len(failed) > 1 else ""
    if failed and failed[0].mendable:
        raise UserError(f"{failed[0].stage} {failed[0].unit}: {failed[0].error}{more}")
    said = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if SPOKEN in line]
    if said and not failed:
        raise UserError(said[0].split(SPOKEN, 1)[1])
    where = f"{failed[0].stage} {failed[0].unit}: {failed[0].error}{more}" if failed else "the pipeline stopped"
    raise PipelineFailed(f"{where}\nThe whole log is in {log}; its end:\n{_tail(log)}")


def _may_be_done_without(unit: Progress) -> tuple[bool, bool]:
    """Failures of stages with one unit end a run; of others, what a user can mend says most."""
    return STAGES.named(unit.stage).per != "study", not unit.mendable


def _tail(log: Path, lines: int = 25) -> str:
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])
