"""Figures of downstream scores. Each function returns None where there is nothing to draw."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from aira_lib.report.downstream_compared import MeasureFound, Scoreboard
from aira_lib.report.drawing import MUTED, PALETTE, WIDTH, Figure, render, safe_label


def compared_figure(board: Scoreboard, found: Sequence[MeasureFound]) -> Figure | None:
    """A panel a mean over tasks: each design's difference to the reference with both of its intervals."""
    drawn = [each for each in found if each.against]
    if not drawn:
        return None
    labels = [design.label for design in board.designs if design is not board.reference]

    def draw(canvas: Canvas) -> None:
        panels = canvas.subplots(1, len(drawn), sharey=True, squeeze=False)[0]
        for axes, each in zip(panels, drawn, strict=True):
            _draw(axes, each, labels)
        panels[0].set_yticks(range(len(labels)), [safe_label(label) for label in labels])
        panels[0].set_ylim(len(labels) - 0.4, -0.6)

    return render("downstream_compared", WIDTH, 1.1 + 0.3 * len(labels), draw)


def _draw(axes: Axes, found: MeasureFound, labels: Sequence[str]) -> None:
    for row, label in enumerate(labels):
        each = found.against[label]
        value = 100 * each.whole.value
        if each.simultaneous is not None:
            axes.errorbar(value, row, xerr=100 * each.simultaneous, fmt="none", ecolor=PALETTE[0], elinewidth=1)
        if each.whole.margin is not None:
            axes.errorbar(value, row, xerr=100 * each.whole.margin, fmt="none", ecolor=PALETTE[0], elinewidth=3.5)
        axes.plot(value, row, "o", color="white", markeredgecolor=PALETTE[0], markersize=5)
    axes.axvline(0, color=MUTED, linestyle="--", linewidth=1)
    axes.set_title(found.measure.title, loc="left")
    axes.set_xlabel("points to the baseline")
    axes.grid(axis="y", visible=False)
