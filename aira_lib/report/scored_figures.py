"""Figures of scores: a row a player, a dot with its interval, a panel a task."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from aira_lib.report.drawing import DASHES, MUTED, PALETTE, WIDTH, Figure, render, safe_label
from aira_lib.scores.interval import Interval

_ROW, _HEAD = 0.24, 0.85  # inches
_ACROSS = 2


@dataclass(frozen=True)
class Dots:
    """One panel.

    Attributes:
        title: What it is of.
        rows: A value a player; None where it has none.
        beside: A second value a player, drawn hollow and joined to the first.
        lines: References, drawn across all rows.
    """

    title: str
    rows: Mapping[str, Interval | None]
    beside: Mapping[str, float | None] = field(default_factory=dict)
    lines: Mapping[str, float] = field(default_factory=dict)


def dots_figure(name: str, panels: Sequence[Dots], label: str, joined: tuple[str, str] | None = None) -> Figure | None:
    """Draw panels, two in a row; None where there is nothing to draw.

    Args:
        name: Of the figure and its file.
        panels: With the same players each.
        label: Of the horizontal axes.
        joined: What the filled and the hollow dots are, where there are both.
    """
    panels = [panel for panel in panels if any(panel.rows.values())]
    if not panels:
        return None
    across = min(_ACROSS, len(panels))
    down = math.ceil(len(panels) / across)
    players = list(dict.fromkeys(player for panel in panels for player in panel.rows))
    references = list(dict.fromkeys(line for panel in panels for line in panel.lines))

    def draw(canvas: Canvas) -> None:
        grid = canvas.subplots(down, across, squeeze=False, sharey=True)
        for axes, panel in zip(grid.flat, panels, strict=False):
            _draw(axes, panel, players, references, joined)
            axes.set_xlabel(label)
        for axes in list(grid.flat)[len(panels) :]:
            axes.set_axis_off()
        legend = {
            label: handle for axes in grid.flat for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
        }
        if legend:
            canvas.legend(legend.values(), legend.keys(), loc="outside upper center", ncols=4)

    return render(name, WIDTH, down * (_HEAD + _ROW * len(players)) + 0.4, draw)


def _draw(
    axes: Axes, panel: Dots, players: Sequence[str], references: Sequence[str], joined: tuple[str, str] | None
) -> None:
    for place, player in enumerate(players):
        found = panel.rows.get(player)
        if found is None:
            axes.text(0.01, place, "none", transform=axes.get_yaxis_transform(), va="center", color=MUTED, fontsize=8)
            continue
        if found.low is not None and found.high is not None:
            axes.plot([found.low, found.high], [place, place], color=PALETTE[0], linewidth=1.2, alpha=0.6)
        other = panel.beside.get(player)
        if other is not None:
            axes.plot([found.value, other], [place, place], color=MUTED, linewidth=1.0)
            _dot(axes, other, place, joined[1] if joined else "", hollow=True)
        _dot(axes, found.value, place, joined[0] if joined else "", hollow=False)
    for line, value in panel.lines.items():
        place = references.index(line)
        colour, dash = PALETTE[1 + place % (len(PALETTE) - 1)], DASHES[1 + place % (len(DASHES) - 1)]
        axes.axvline(value, color=colour, linestyle=dash, linewidth=1.0, label=safe_label(line))
    axes.set_yticks(range(len(players)), [safe_label(player) for player in players])
    axes.set_ylim(len(players) - 0.5, -0.5)
    axes.set_title(panel.title)


def _dot(axes: Axes, value: float, place: int, label: str, hollow: bool) -> None:
    shown = label if label not in axes.get_legend_handles_labels()[1] else ""
    face = "white" if hollow else PALETTE[0]
    axes.plot([value], [place], "o", color=PALETTE[0], markerfacecolor=face, markersize=5, label=shown or "_")
