"""Figure 28: the best score of every search, step by step, a panel an agent's search."""

import textwrap
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from aira_lib.autoresearch.features.events import Event
from aira_lib.report.drawing import MUTED, PALETTE, WIDTH, Figure, panels_of, render
from aira_lib.watch.nodes import JOURNAL

MOST = 100  # searches drawn, as many as the paper has
_ACROSS = 4
_HEIGHT, _ALONE = 1.3, 2.3  # inches of a row of panels, and of the only one
_WIDE = 26  # characters in a line of a panel's title

Scored = Sequence[tuple[int, float]]


def progress_figure(events: Sequence[Event]) -> Figure | None:
    """Draw a panel a search: scored steps as dots, the best so far as a line; None where nothing was scored.

    All panels have the same axes. Where a few scores are far worse than the rest they stand as triangles at the top.
    """
    scored: dict[str, list[tuple[int, float]]] = {}
    for event in events:
        if event.score is not None and (event.search in scored or len(scored) < MOST):
            scored.setdefault(event.search, []).append((event.step, event.score))
    if not scored:
        return None
    across = min(_ACROSS, len(scored))
    down = -(-len(scored) // across)
    titles = titles_of(list(scored))
    top = _top(list(scored.values()))

    def draw(canvas: Canvas) -> None:
        for axes, own, title in zip(panels_of(canvas, len(scored), across), scored.values(), titles, strict=True):
            _panel(axes, own, top)
            axes.set_title(title, fontsize=8)
        low = min(score for own in scored.values() for _, score in own)
        axes.set_ylim(low - 0.08 * (top - low or 1), top + 0.08 * (top - low or 1))
        canvas.supxlabel("step", fontsize=9.5)
        canvas.supylabel("bits per byte", fontsize=9.5)

    return render("figure_28", WIDTH, (_HEIGHT * down if down > 1 else _ALONE) + 0.6, draw)


def _panel(axes: Axes, own: Scored, top: float) -> None:
    steps, scores = [step for step, _ in own], [score for _, score in own]
    shown = [(step, score) for step, score in own if score <= top]
    beyond = [step for step, score in own if score > top]
    axes.plot([step for step, _ in shown], [score for _, score in shown], ".", color=MUTED, markersize=4)
    axes.plot(beyond, [top] * len(beyond), "^", color=MUTED, markersize=4)
    axes.step(steps, np.minimum.accumulate(scores), where="post", color=PALETTE[0])


def _top(searches: Sequence[Scored]) -> float:
    """The worst score that is drawn: of a tenth that is far worse than the rest all are beyond it."""
    scores = [score for own in searches for _, score in own]
    low, usual, worst = min(scores), float(np.quantile(scores, 0.9)), max(scores)
    top = max(usual + 0.5 * (usual - low), *(min(score for _, score in own) for own in searches))
    return worst if worst <= top else top


def titles_of(names: Sequence[str]) -> list[str]:
    """What tells searches apart, in two lines at most: their names without the folders that all have in common."""
    parts = [[each for each in name.split("/") if each] for name in names]
    if len(names) == 1:
        parts = [parts[0][-2:-1] or parts[0]] if parts[0][-1] == JOURNAL else [parts[0][-1:]]
    for end in (0, -1):
        while len(names) > 1 and all(len(each) > 1 for each in parts) and len({each[end] for each in parts}) == 1:
            parts = [each[1:] if end == 0 else each[:-1] for each in parts]
    return ["\n".join(_in_two_lines("/".join(each))) for each in parts]


def _in_two_lines(name: str) -> list[str]:
    """A name in lines, a long one without its middle: seeds stand at the end."""
    lines = textwrap.wrap(name, _WIDE)
    return lines if len(lines) <= 2 else [f"{name[: _WIDE - 1]}…", name[-_WIDE:]]
