"""Run the searches of a study on this machine, several at once, each seed in a process of its own. No pipeline needed.

The processes end with this one, however it ends; what they have finished stays, and the same command goes on from it.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO

from rich.console import Console
from rich.live import Live

from aira_lib.agents.telling import WAITING
from aira_lib.flow.finished import finished_units
from aira_lib.flow.units import search_units
from aira_lib.local.run import (
    LocalRun,
    carry_waiting,
    check_store,
    follow_logs,
    keep_study,
    only_launcher,
    outlook_of_searches,
    say_waiting,
    stage_environment,
)
from aira_lib.store import open_store
from aira_lib.tasks.section import task_of
from aira_lib.track.progress import Progress, read_progress
from aira_lib.watch.searches import Lookout, TimeLeft, Watched, time_left
from aira_lib.watch.table import table, totals

_SECONDS_BETWEEN_LOOKS = 0.5
_SECONDS_BETWEEN_LINES = 5.0
_SECONDS_TO_END = 5.0  # that a search gets to clear up after Ctrl-C, before it is killed


@dataclass(frozen=True)
class SearchesRun:
    """How the searches ended: all as they stand, those made now, those that failed, and where the logs are."""

    searches: list[Watched]
    made: list[str]
    failures: list[Progress]
    logs: Path


def run_searches(run: LocalRun, console: Console) -> SearchesRun:
    """Run all searches of a study that are not finished, `run.workers` at once, and show how far they are.

    A search that fails stops no other one that runs, but no further one is started.

    Raises:
        UserError: the store cannot be written, or the study is being run already.
        KeyboardInterrupt: after all processes were ended.
    """
    check_store(run)
    units = search_units(run.study)
    done = {unit.name for unit in finished_units(run.study, run.settings, units)}
    lookout = Lookout(run.study, run.settings)
    pending = [unit.name for unit in units if unit.name not in done]
    if not pending:
        carry_waiting(run, units)
        return SearchesRun(lookout.look(), [], [], run.folder)
    with only_launcher(run):
        keep_study(run)
        crew = _Crew(run, list(pending), _fresh(run.folder / "progress"))
        _watch_crew(crew, lookout, console, [Progress("search", name, status="reused") for name in done])
    ended = lookout.look()
    made = [each.name for each in ended if each.finished and each.name in pending]
    return SearchesRun(ended, made, crew.failures(), run.folder)


def _fresh(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def _watch_crew(crew: "_Crew", lookout: Lookout, console: Console, reused: Sequence[Progress]) -> None:
    """Show the searches until none runs any more, of which some were there already; end them all whatever happens."""
    follower = follow_logs(crew.run)
    whole = False
    try:
        with _shown(crew.run, console) as show:
            while crew.tend():
                show(crew.seen(lookout), [*reused, *read_progress(crew.progress)])
                time.sleep(_SECONDS_BETWEEN_LOOKS)
            show(crew.seen(lookout), [*reused, *read_progress(crew.progress)])
        whole = not crew.failed
    finally:
        crew.end()
        if follower:
            say_waiting(crew.run, follower.close("finished" if whole else "failed"))


@dataclass
class _Crew:
    """The processes: which search each one runs, which wait for a place, which failed with what exit code."""

    run: LocalRun
    waiting: list[str]
    progress: Path
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    failed: dict[str, int] = field(default_factory=dict)

    def tend(self) -> bool:
        """Take leave of processes that ended, start others in their places; says whether any still runs."""
        for name, process in list(self.running.items()):
            if process.poll() is not None:
                del self.running[name]
                if process.returncode:
                    self.failed[name] = process.returncode
        while self.waiting and not self.failed and len(self.running) < self.run.workers:
            name = self.waiting.pop(0)
            self.running[name] = self._start(name)
        return bool(self.running)

    def seen(self, lookout: Lookout) -> list[Watched]:
        """The searches as their journals tell, with what is known of their processes."""
        waits = {each.unit: each.note for each in read_progress(self.progress) if each.note.startswith(WAITING)}
        return [
            replace(each, said=self._said(each), at_hand=waits.get(each.name, each.at_hand)) for each in lookout.look()
        ]

    def _said(self, search: Watched) -> str:
        if search.name in self.failed:
            return "failed"
        return "" if search.finished else "running" if search.name in self.running else "waiting"

    def failures(self) -> list[Progress]:
        """What each failed search said; one that was killed could not say anything."""
        said = {each.unit: each for each in read_progress(self.progress)}
        return [
            said[name]
            if name in said and said[name].status == "failed"
            else Progress("search", name, status="failed", error=_ending(code))
            for name, code in self.failed.items()
        ]

    def end(self) -> None:
        """End all processes: asked first, so that they clear up, then killed with all that they started."""
        for process in self.running.values():
            process.send_signal(signal.SIGINT)
        deadline = time.monotonic() + _SECONDS_TO_END
        for process in self.running.values():
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        self.running.clear()

    def _start(self, name: str) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "aira_lib.local.one_search", str(self.run.study_file), name]
        command.append(open_store(self.run.settings.store).uri)
        with _log(self.run.folder, name) as log:
            return subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                env=stage_environment(self.run, self.progress), start_new_session=True,
            )  # fmt: skip


def log_file(folder: Path, search: str) -> Path:
    """Where a search's process writes what is neither result nor progress: warnings, a traceback."""
    return folder / f"{search}.log"


def _log(folder: Path, search: str) -> IO[bytes]:
    return open(log_file(folder, search), "wb")


def _ending(code: int) -> str:
    return f"its process was ended by {signal.Signals(-code).name}" if code < 0 else f"its process ended with {code}"


class _Show:
    """Shows searches: a live table in a terminal; elsewhere a line now and then, when there is something new."""

    def __init__(self, run: LocalRun, console: Console, live: Live | None) -> None:
        self._title, self._workers, self._outlook = run.study.name, run.workers, outlook_of_searches(run)
        self._lower_is_better, self._task = task_of(run.study.task).lower_is_better, task_of(run.study.task).name
        self._console, self._live = console, live
        self._spoke, self._steps = time.monotonic(), 0
        self._told: set[str] = set()
        self._heard: dict[str, str] = {}

    def __call__(self, searches: list[Watched], units: Sequence[Progress]) -> None:
        """Show searches as their journals tell, and the time left by the progress of all their units."""
        left = self._left(searches, units)
        for said in dict.fromkeys(each.validation for each in searches if each.validation):
            if said not in self._told:
                self._told.add(said)
                self._console.print(f"{self._task}: {said}", highlight=False, markup=False, soft_wrap=True)
        if self._live:
            self._live.update(table(self._title, searches, self._lower_is_better, left), refresh=True)
            return
        for each in searches:
            if each.at_hand.startswith(WAITING) and self._heard.get(each.name) != each.at_hand:
                self._print(f"{each.name}: {each.at_hand}")
            self._heard[each.name] = each.at_hand
        steps = sum(len(each.nodes) for each in searches)
        if steps != self._steps and time.monotonic() - self._spoke >= _SECONDS_BETWEEN_LINES:
            self._spoke, self._steps = time.monotonic(), steps
            self._print(totals(searches, self._lower_is_better, left))

    def close(self) -> None:
        """Keep what was measured."""
        if self._outlook:
            self._outlook.rates.save()

    def _left(self, searches: Sequence[Watched], units: Sequence[Progress]) -> TimeLeft:
        """As `aira run` says it; where no plan knows what a step takes, by the speed of the steps so far."""
        if self._outlook is None:
            return time_left(searches, self._workers)
        self._outlook.look(units)
        return TimeLeft(self._outlook.in_words(units), self._outlook.left_of_searches(units))

    def _print(self, line: str) -> None:
        self._console.print(f"  {line}", highlight=False, markup=False, soft_wrap=True)


@contextmanager
def _shown(run: LocalRun, console: Console) -> Iterator[_Show]:
    live = Live(console=console, auto_refresh=False, transient=True) if console.is_terminal else None
    show = _Show(run, console, live)
    with live or nullcontext():
        try:
            yield show
        finally:
            show.close()
