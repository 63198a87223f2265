"""`aira watch` and `aira search --watch`: searches as a table that follows them, from another terminal or machine."""

import json
import time
from collections.abc import Sequence
from contextlib import suppress

from rich.console import Console, Group
from rich.live import Live

from aira_lib.console import result_console
from aira_lib.errors import SpecError, UserError
from aira_lib.flow.stage import STUDY_FILE
from aira_lib.settings import Settings
from aira_lib.store import open_store, place_of
from aira_lib.study import Study, TaskSection
from aira_lib.study.reading import parse_study
from aira_lib.tasks.section import family_of, task_of
from aira_lib.watch.searches import Lookout, Watched
from aira_lib.watch.table import table

_SECONDS_BETWEEN_LOOKS = 2.0


def watch(study: Study, settings: Settings, console: Console | None = None) -> None:
    """Show a study's searches until all are finished; once only where the output is no terminal.

    Raises:
        UserError: the store or a journal cannot be read.
    """
    _follow([study], settings, console)


def watch_task(task: str | None, settings: Settings, console: Console | None = None) -> None:
    """Show the searches of every study in the store that searches a task; by default all that are not finished.

    Raises:
        UserError: there is no such task, no such search in the store, or a journal cannot be read.
    """
    studies = [study for study in studies_in(settings) if task in (None, study.task.name)]
    if task and not studies:
        family_of(TaskSection(name=task))  # a misspelt name is worth more than "no such search"
    going = [study for study in studies if not all(each.finished for each in Lookout(study, settings).look())]
    shown = going or (studies if task else [])
    if not shown:
        what = f"no search of {task} is" if task else "no unfinished search is"
        raise UserError(
            f"{what} in {place_of(open_store(settings.store).uri)}; start one with `aira search`, or name its --store"
        )
    _follow(shown, settings, console)


def studies_in(settings: Settings) -> list[Study]:
    """The studies that were launched into a store, by name; those of another version of aira are passed over."""
    store, found = open_store(settings.store), []
    for name in store.list():
        if name.count("/") == 1 and name.endswith(f"/{STUDY_FILE}"):
            with suppress(SpecError, ValueError):
                found.append(parse_study(json.loads(store.read(name)), name))
    return found


def _follow(studies: Sequence[Study], settings: Settings, console: Console | None) -> None:
    console = console or result_console()
    lookouts = [Lookout(study, settings) for study in studies]

    def look() -> list[list[Watched]]:
        return [lookout.look() for lookout in lookouts]

    def shown(searches: list[list[Watched]]) -> Group:
        tables = zip(studies, searches, strict=True)
        return Group(*(table(s.name, each, task_of(s.task).lower_is_better) for s, each in tables))

    searches = look()
    if not console.is_terminal:
        console.print(shown(searches))
        return
    try:
        with Live(shown(searches), console=console, auto_refresh=False) as live:
            while not all(each.finished for of_study in searches for each in of_study):
                time.sleep(_SECONDS_BETWEEN_LOOKS)
                searches = look()
                live.update(shown(searches), refresh=True)
    except KeyboardInterrupt:
        console.print("No longer watching; the searches go on.")
