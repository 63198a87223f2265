"""Show how far a study is: bars in a terminal, a line for every finished unit elsewhere."""

import time
from collections.abc import Mapping, Sequence

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from aira_lib.agents.telling import WAITING
from aira_lib.local.outlook import Outlook
from aira_lib.track.progress import ENDED, Progress

HEARTBEAT_SECONDS = 30.0


class Display:
    """Shows progress on a console until closed."""

    def __init__(self, console: Console, outlook: Outlook) -> None:
        """Start showing: live bars where the console is a terminal."""
        self.console, self.outlook = console, outlook
        self.ended: dict[tuple[str, str], str] = {}
        self.waits: dict[str, str] = {}
        self.spoke = time.monotonic()
        self.live = Live(console=console, refresh_per_second=4, transient=True) if console.is_terminal else None
        if self.live:
            self.live.start()

    def show(self, units: Sequence[Progress]) -> None:
        """Bring the display up to date."""
        self.outlook.look(units)
        for unit in units:
            if unit.status in ENDED and self.ended.get((unit.stage, unit.unit)) != unit.status:
                self.ended[unit.stage, unit.unit] = unit.status
                self._say(unit, units)
        if self.live:
            self.live.update(self._bars(units))
        elif time.monotonic() - self.spoke > HEARTBEAT_SECONDS:
            self.spoke = time.monotonic()
            running = ", ".join(_running(u) for u in units if u.status == "running")
            self._print(f"  ... {running or 'starting'} · {self.outlook.in_words(units)}")
        for unit in units:
            if unit.note.startswith(WAITING) and not self.live and self.waits.get(unit.unit) != unit.note:
                self._print(f"  {unit.unit}: {unit.note}")
            self.waits[unit.unit] = unit.note

    def close(self) -> None:
        """Stop showing, and keep what was measured."""
        if self.live:
            self.live.stop()
        self.outlook.rates.save()

    def _say(self, unit: Progress, units: Sequence[Progress]) -> None:
        if unit.status == "reused":
            return
        mark = {"done": "[green]✓[/]", "failed": "[red]✗[/]"}[unit.status]
        took = f"{unit.updated - unit.started:.0f} s"
        self.console.print(
            f"{mark} {unit.stage:<11} {unit.unit}  [dim]{unit.note} · {took} · {self.outlook.in_words(units)}[/]",
            highlight=False,
            soft_wrap=True,
        )
        self.spoke = time.monotonic()

    def _bars(self, units: Sequence[Progress]) -> RenderableType:
        table = Table.grid(padding=(0, 2))
        for stage in self.outlook.plan:
            fraction = self.outlook.fraction(units, stage)
            count = sum(u.stage == stage.stage and u.status in ENDED for u in units)
            bar = ProgressBar(total=1.0, completed=fraction, width=30)
            of = f"{count} of {self.outlook.units(stage)}" if count else ""
            table.add_row(stage.stage, bar, f"{fraction:4.0%}", of)
        running = [Text(f"  {_running(u)}: {u.note}", style="dim") for u in units if u.status == "running"]
        return Group(table, *running, Text(f"  {self.outlook.in_words(units)}", style="bold"))

    def _print(self, line: str) -> None:
        self.console.print(line, highlight=False, markup=False, soft_wrap=True)


def _running(unit: Progress) -> str:
    """A unit and how far it is: the whole steps that it has done."""
    return f"{unit.unit} {int(unit.done):,} of {int(unit.total):,}" if unit.total else unit.unit


def tally(units: Sequence[Progress]) -> Mapping[str, dict[str, int]]:
    """How many units of each stage ended how."""
    counts: dict[str, dict[str, int]] = {}
    for unit in units:
        ended = counts.setdefault(unit.stage, dict.fromkeys(ENDED, 0))
        if unit.status in ENDED:
            ended[unit.status] += 1
    return counts
