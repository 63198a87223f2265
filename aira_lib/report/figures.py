"""Figures of searches and of strips. Each function returns None where there is nothing to draw."""

import math
from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import MaxNLocator

from aira_lib.report.drawing import DASHES, PALETTE, WIDTH, Figure, render, safe_label
from aira_lib.report.inputs import SearchRun
from aira_lib.report.searches import by_agent, dynamics, is_valid, measure
from aira_lib.report.strips import Strip, colour_of, ink_of

# Past so many nodes the dots of a search become pixels: a paper-sized study has 85,000.
MAX_VECTOR_DOTS = 2000

# --- search dynamics --------------------------------------------------------------------------------------------------


def search_figure(searches: Sequence[SearchRun], metric: str = "") -> Figure | None:
    """Best validation fitness so far by step: mean and range over seeds, nodes as dots, failed nodes as crosses.

    Args:
        searches: All.
        metric: What the fitness is called; by default as in searches of designs.
    """
    agents = by_agent(searches)
    if not any(run.nodes for run in searches):
        return None

    some_failed = any(not is_valid(node) for run in searches for node in run.nodes)

    def draw(canvas: Canvas) -> None:
        lanes = (1, 0.035 + 0.045 * len(agents)) if some_failed else (1,)
        panels = canvas.subplots(
            len(lanes), 1, sharex=True, height_ratios=lanes, gridspec_kw={"hspace": 0.02}, squeeze=False
        ).ravel()
        axes, last = panels[0], panels[-1]
        for row, (agent, runs) in enumerate(agents.items()):
            _draw_agent(axes, agent, runs, PALETTE[row % len(PALETTE)], DASHES[row // len(PALETTE) % len(DASHES)])
            if some_failed:
                _draw_failures(last, row, runs, PALETTE[row % len(PALETTE)])
        if sum(len(run.nodes) for run in searches) > MAX_VECTOR_DOTS:
            for line in (line for panel in panels for line in panel.lines):
                line.set_rasterized(line.get_linestyle() == "None")
        axes.set_ylabel(f"validation {metric or measure(any(run.lower_is_better for run in searches))}")
        if (labels := axes.get_legend_handles_labels())[0]:
            canvas.legend(*labels, loc="outside upper center", ncols=3)
        if some_failed:
            last.set_ylim(len(agents) - 0.3, -0.7)
            last.set_yticks([(len(agents) - 1) / 2], ["failed"])
            last.grid(False)
        last.set_xlabel("step")
        last.xaxis.set_major_locator(MaxNLocator(integer=True))

    return render("search", WIDTH, 3.9 + 0.12 * len(agents) + 0.2 * math.ceil(len(agents) / 3), draw)


def _draw_agent(axes: Axes, agent: str, runs: Sequence[SearchRun], colour: str, dash: str) -> None:
    valid = [node for run in runs for node in run.nodes if is_valid(node)]
    axes.plot(
        [n.step for n in valid], [n.validation or 0.0 for n in valid], ".", color=colour, alpha=0.28, markersize=4
    )
    found = dynamics(agent, runs)
    if found is None:
        return
    alive, middle = len(found.best), found.mean
    seeds = f"{alive} of {found.seeds} seeds" if alive < found.seeds else f"{alive} seed{'s' if alive > 1 else ''}"
    # A best holds after its step, the last one too: without what follows, an improvement there would be a bare stroke.
    steps = np.append(found.steps, found.steps[-1] + 1)
    axes.step(
        steps,
        np.append(middle, middle[-1]),
        where="post",
        color=colour,
        linestyle=dash,
        label=safe_label(f"{agent} ({seeds})"),
    )
    if np.isfinite(middle).sum() == 1:
        axes.plot(found.steps, middle, "o", color=colour, markersize=5)
    if alive > 1:
        low, high = found.best.min(axis=0), found.best.max(axis=0)
        low, high = np.append(low, low[-1]), np.append(high, high[-1])
        axes.fill_between(steps, low, high, step="post", color=colour, alpha=0.15, linewidth=0)


def _draw_failures(axes: Axes, row: int, runs: Sequence[SearchRun], colour: str) -> None:
    failed = [node.step for run in runs for node in run.nodes if not is_valid(node)]
    axes.plot(failed, [row] * len(failed), "x", color=colour, markersize=4, markeredgewidth=1.1, alpha=0.75)


# --- strips as a picture, for where a page cannot hold SVG ------------------------------------------------------------


def strips_figure(name: str, strips: Mapping[str, Strip]) -> Figure | None:
    """Named strips under each other; with agreement, a bar above each box."""
    if not strips:
        return None
    longest = max(len(strip.layers) for strip in strips.values())
    voted = any(strip.agreement for strip in strips.values())
    pitch = 2.1 if voted else 1.3

    def draw(canvas: Canvas) -> None:
        axes = canvas.subplots()
        axes.set_axis_off()
        axes.set_xlim(-0.1, longest)
        axes.set_ylim(pitch * len(strips), -0.1)
        axes.set_aspect("equal")
        for row, (label, strip) in enumerate(strips.items()):
            top = row * pitch + (0.8 if voted else 0)
            axes.text(-0.3, top + 0.5, label, ha="right", va="center")
            for index, layer in enumerate(strip.layers):
                _draw_box(axes, index, top, layer, strip.agreement[index] if strip.agreement else 0.0)

    return render(name, WIDTH, 0.2 + 0.36 * pitch * len(strips), draw)


def _draw_box(axes: Axes, x: int, top: float, layer: str, agreement: float) -> None:
    colour = colour_of(layer)
    axes.add_patch(mpl.patches.Rectangle((x, top), 0.93, 1, color=colour, linewidth=0))
    axes.text(x + 0.46, top + 0.5, layer, ha="center", va="center", color=ink_of(layer), fontsize=8.5)
    if agreement:
        bar = mpl.patches.Rectangle((x, top - 0.08), 0.93, -0.65 * agreement, color=colour, alpha=0.5, linewidth=0)
        axes.add_patch(bar)
