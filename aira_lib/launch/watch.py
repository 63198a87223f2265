"""A study's searches as a table that follows them, from another terminal or another machine.

It reads journals only, so it watches whatever runs the searches: `aira run`, `aira search` or a cluster that keeps its
records in this store. It never writes.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from aira_lib import plan
from aira_lib.agents import best_node, total_steps
from aira_lib.launch.console import result_console
from aira_lib.launch.display import duration
from aira_lib.launch.nodes import JOURNAL, read_nodes
from aira_lib.plan import Unit
from aira_lib.records import Node
from aira_lib.settings import Settings
from aira_lib.spec import Study
from aira_lib.store import RecordFolder, Store, open_store
from aira_lib.tasks import task_named

_SECONDS_BETWEEN_LOOKS = 2.0
_REASON = 60  # characters


@dataclass(frozen=True)
class Watched:
    """One search: its nodes so far, how many there may be, whether its record is finished.

    `quiet` counts seconds since its last node, None where the store does not tell.
    """

    name: str
    nodes: tuple[Node, ...]
    steps: int
    finished: bool
    quiet: float | None = None

    @property
    def state(self) -> str:
        """Waiting, finished, or under way; only the machine that runs it knows whether it still does."""
        if self.finished:
            return "finished"
        if not self.nodes:
            return "waiting"
        return "running" if self.quiet is None else f"{duration(self.quiet)} ago"


class Lookout:
    """Looks at all searches of a study; what is finished is read once."""

    def __init__(self, study: Study, settings: Settings) -> None:
        """Open the store.

        Raises:
            UserError: the store's name means nothing, or the study's task is unknown.
        """
        self._study, self._store = study, open_store(settings.store)
        self._steps = {f"{a.name}.s{seed}": total_steps(a) for a in study.agents for seed in a.seeds}
        self._finished: dict[str, Watched] = {}

    def look(self) -> list[Watched]:
        """The searches as they are now, in the study's order."""
        return [self._finished.get(unit.name) or self._look_at(unit) for unit in plan.search_units(self._study)]

    def _look_at(self, unit: Unit) -> Watched:
        # The manifest first: a search that ends in between is then shown as running once more, never cut short.
        finished = RecordFolder(self._store, unit.folder(self._study)).manifest() is not None
        nodes = tuple(read_nodes(self._store, self._study, unit))
        quiet = None if finished else _quiet(self._store, unit.folder(self._study))
        watched = Watched(unit.name, nodes, self._steps[unit.name], finished, quiet)
        if finished:
            self._finished[unit.name] = watched
        return watched


def watch(study: Study, settings: Settings, console: Console | None = None) -> None:
    """Show the study's searches until all are finished; once only where the output is no terminal.

    Raises:
        UserError: the store or a journal cannot be read.
    """
    console = console or result_console()
    lookout, lower_is_better = Lookout(study, settings), task_named(study.task.name).lower_is_better
    searches = lookout.look()
    if not console.is_terminal:
        console.print(table(study.name, searches, lower_is_better))
        return
    try:
        with Live(table(study.name, searches, lower_is_better), console=console, auto_refresh=False) as live:
            while not all(each.finished for each in searches):
                time.sleep(_SECONDS_BETWEEN_LOOKS)
                searches = lookout.look()
                live.update(table(study.name, searches, lower_is_better), refresh=True)
    except KeyboardInterrupt:
        console.print("No longer watching; the searches go on.")


def table(title: str, searches: Sequence[Watched], lower_is_better: bool) -> Table:
    """One row a search. What models and programs wrote is shown as plain text, never as markup."""
    made = Table(title=f"Searches of {title}", title_justify="left")
    for column in ("search", "state", "step", "operator", "best", "design", "valid", "cost", "time", "last reason"):
        made.add_column(column, justify="right" if column in ("step", "best", "valid", "cost", "time") else "left")
    for each in searches:
        made.add_row(*(Text(cell) for cell in _cells(each, lower_is_better)))
    return made


def _cells(search: Watched, lower_is_better: bool) -> list[str]:
    nodes = search.nodes
    step = f"{len(nodes)}/{search.steps}"
    if not nodes:
        return [search.name, search.state, step, "", "", "", "", "", "", ""]
    best = best_node(nodes, lower_is_better)
    valid = sum(node.status == "ok" for node in nodes) / len(nodes)
    return [
        search.name,
        search.state,
        step,
        nodes[-1].operator,
        f"{best.validation:.4f}" if best and best.validation is not None else "none",
        (best.design or "") if best else "",
        f"{valid:.0%}",
        cost(nodes),
        duration(sum(node.seconds for node in nodes)),
        one_line(next((node.reason for node in reversed(nodes) if node.status == "failed"), "")),
    ]


def cost(nodes: Sequence[Node]) -> str:
    """Dollars where the provider tells prices, else calls; nothing where no model was asked over a network."""
    dollars = [node.usage["dollars"] for node in nodes if "dollars" in node.usage]
    calls = sum(node.usage.get("calls", 0.0) for node in nodes)
    return f"${sum(dollars):,.2f}" if dollars else f"{calls:g} calls" if calls else "–"


def one_line(text: str) -> str:
    """The beginning of a text, printable characters only: no control codes of a program reach the terminal."""
    plain = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return plain if len(plain) <= _REASON else plain[: _REASON - 1] + "…"


def _quiet(store: Store, folder: str) -> float | None:
    local = store.folder(folder)
    try:
        return max(0.0, time.time() - (local / JOURNAL).stat().st_mtime) if local else None
    except OSError:
        return None
