"""Show how far a study is: bars in a terminal, a line for every finished unit elsewhere."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from aira_lib.console import duration
from aira_lib.planning.estimate import StageEstimate
from aira_lib.track.progress import Progress

ENDED = ("done", "reused", "failed")
HEARTBEAT_SECONDS = 30.0


@dataclass
class Outlook:
    """How far the study is, from the units' progress and the plan's estimate of what each stage weighs."""

    plan: Sequence[StageEstimate]
    started: float = field(default_factory=time.monotonic)

    def fraction(self, units: Sequence[Progress], stage: StageEstimate) -> float:
        """Share of a stage that is done, 0 to 1."""
        if stage.stage != "report" and any(u.stage == "report" for u in units):
            return 1.0  # fewer units than planned: some designs were equal
        mine = [u for u in units if u.stage == stage.stage]
        if stage.stage == "search":
            done = sum(u.done for u in mine)
        else:
            done = sum(1.0 if u.status in ENDED else u.done / u.total if u.total else 0.0 for u in mine)
        return min(1.0, done / max(stage.size, 1))

    def seconds_left(self, units: Sequence[Progress]) -> float | None:
        """Time left, by how fast the estimate has been worked off since the start; None before there is a rate."""
        reused = sum(
            self._weight(stage) for u in units for stage in self.plan if (u.stage, u.status) == (stage.stage, "reused")
        )
        done = sum(stage.seconds * self.fraction(units, stage) for stage in self.plan) - reused
        total = sum(stage.seconds for stage in self.plan) - reused
        elapsed = time.monotonic() - self.started
        if done <= 0.02 * total or total <= 0:
            return None
        return elapsed * (total - done) / done

    @staticmethod
    def _weight(stage: StageEstimate) -> float:
        return stage.seconds / max(stage.units, 1)


class Display:
    """Shows progress on a console until closed."""

    def __init__(self, console: Console, outlook: Outlook) -> None:
        """Start showing: live bars where the console is a terminal."""
        self.console, self.outlook = console, outlook
        self.ended: dict[tuple[str, str], str] = {}
        self.spoke = time.monotonic()
        self.live = Live(console=console, refresh_per_second=4, transient=True) if console.is_terminal else None
        if self.live:
            self.live.start()

    def show(self, units: Sequence[Progress]) -> None:
        """Bring the display up to date."""
        for unit in units:
            if unit.status in ENDED and self.ended.get((unit.stage, unit.unit)) != unit.status:
                self.ended[unit.stage, unit.unit] = unit.status
                self._say(unit, units)
        if self.live:
            self.live.update(self._bars(units))
        elif time.monotonic() - self.spoke > HEARTBEAT_SECONDS:
            self.spoke = time.monotonic()
            running = ", ".join(f"{u.unit} {u.done:.3g}/{u.total:g}" for u in units if u.status == "running")
            self.console.print(f"  ... {running or 'starting'} · {self._left(units)}", highlight=False, soft_wrap=True)

    def close(self) -> None:
        """Stop showing."""
        if self.live:
            self.live.stop()

    def _say(self, unit: Progress, units: Sequence[Progress]) -> None:
        if unit.status == "reused":
            return
        mark = {"done": "[green]✓[/]", "failed": "[red]✗[/]"}[unit.status]
        took = f"{unit.updated - unit.started:.0f} s"
        self.console.print(
            f"{mark} {unit.stage:<11} {unit.unit}  [dim]{unit.note} · {took} · {self._left(units)}[/]",
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
            table.add_row(stage.stage, bar, f"{fraction:4.0%}", f"{count} of {stage.units}" if count else "")
        running = [
            Text(f"  {u.unit}: {u.note} ({u.done:.3g}/{u.total:g})", style="dim")
            for u in units
            if u.status == "running"
        ]
        return Group(table, *running, Text(f"  {self._left(units)}", style="bold"))

    def _left(self, units: Sequence[Progress]) -> str:
        seconds = self.outlook.seconds_left(units)
        return f"about {duration(seconds)} left" if seconds is not None else "time left not yet known"


def tally(units: Sequence[Progress]) -> Mapping[str, dict[str, int]]:
    """How many units of each stage ended how."""
    counts: dict[str, dict[str, int]] = {}
    for unit in units:
        ended = counts.setdefault(unit.stage, dict.fromkeys(ENDED, 0))
        if unit.status in ENDED:
            ended[unit.status] += 1
    return counts
