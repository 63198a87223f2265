"""Figure 28: the best score of every search, step by step, a panel an agent's search."""

from collections.abc import Sequence

from matplotlib.figure import Figure as Canvas

from aira_lib.autoresearch.features.events import Event
from aira_lib.report.drawing import MUTED, PALETTE, WIDTH, Figure, render

_MOST = 100  # searches drawn, as many as the paper has
_ACROSS, _HEIGHT = 5, 1.2


def progress_figure(events: Sequence[Event]) -> Figure | None:
    """Draw a panel a search: scored steps as dots, the best so far as a line; None where nothing was scored."""
    names = list(dict.fromkeys(event.search for event in events if event.score is not None))[:_MOST]
    if not names:
        return None
    across = min(_ACROSS, len(names))
    down = -(-len(names) // across)

    def draw(canvas: Canvas) -> None:
        grid = canvas.subplots(down, across, squeeze=False, sharex=True, sharey=True)
        for axes, name in zip(grid.flat, names, strict=False):
            own = [(event.step, event.score) for event in events if event.search == name and event.score is not None]
            best = [min(score for _, score in own[: n + 1]) for n in range(len(own))]
            axes.plot([step for step, _ in own], [score for _, score in own], ".", color=MUTED, markersize=3)
            axes.step([step for step, _ in own], best, where="post", color=PALETTE[0])
            axes.set_title(name.rsplit("/", 1)[-1][:28], fontsize=7)
        for axes in list(grid.flat)[len(names) :]:
            axes.set_axis_off()
        canvas.supxlabel("step")
        canvas.supylabel("bits per byte")

    return render("figure_28", WIDTH, _HEIGHT * down + 0.8, draw)
