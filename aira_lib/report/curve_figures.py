"""Figures of loss curves. Each function returns None where there is nothing to draw."""

import math
from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from aira_lib.report.columns import scientific, si
from aira_lib.report.drawing import WIDTH, Figure, palette, panels_of, render, safe_label, si_axis
from aira_lib.report.inputs import LossCurve
from aira_lib.report.isoflop import Frontier
from aira_lib.report.loss_curves import Floats, Smooth, smoothed


def tokens_figure(curves: Mapping[str, Smooth], baselines: Sequence[str]) -> Figure | None:
    """Training loss at equal tokens: all of it by tokens, and the second half by tokens and by FLOPs.

    Args:
        curves: label -> its curve, in the order of the legend.
        baselines: labels drawn in greys.
    """
    if not curves:
        return None
    colours = palette(list(curves), baselines)
    late = {label: curve.late(0.5, windows=5) for label, curve in curves.items()}
    late = {label: curve for label, curve in late.items() if len(curve.mean)}
    costs = any(np.isfinite(curve.flops).all() for curve in late.values())

    def draw(canvas: Canvas) -> None:
        panels = canvas.subplots(1, 3 if costs else 2)
        for label, curve in curves.items():
            _draw(panels[0], curve.tokens, curve, colours[label]["color"], colours[label]["linestyle"])
        for axes, by in zip(panels[1:], ("tokens", "flops"), strict=False):
            for label, curve in late.items():
                _draw(axes, getattr(curve, by), curve, colours[label]["color"], colours[label]["linestyle"])
            axes.xaxis.set_major_locator(MaxNLocator(3))
            shown = si if by == "tokens" else scientific
            axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _, shown=shown: shown(value).replace(" ", "")))
            axes.set_title("second half", loc="left")
            axes.set_xlabel("tokens" if by == "tokens" else "training FLOPs")
        panels[0].set_xscale("log")
        si_axis(panels[0], subs=(1.0,))
        panels[0].set_xlabel("tokens")
        panels[0].set_ylabel("training loss (nats a token)")
        handles = [Line2D([], [], **colours[label], linewidth=2) for label in curves]
        canvas.legend(handles, [safe_label(label) for label in curves], loc="outside upper center", ncols=3)

    return render("loss_curves", WIDTH, 3.6 + 0.2 * math.ceil(len(curves) / 3), draw)


def compute_figure(found: Sequence[Frontier], curves: Mapping[str, LossCurve]) -> tuple[Figure | None, list[Smooth]]:
    """Training loss against FLOPs at equal compute: a panel a design, a line a size and budget; and what was drawn.

    Args:
        found: the designs.
        curves: point id -> curve.
    """
    drawn = {f.label: _by_scale(f, curves) for f in found}
    drawn = {label: lines for label, lines in drawn.items() if lines}
    every = [curve for lines in drawn.values() for _, curve in lines]
    if not every:
        return None, []
    scales = [name for name in _by_size(found) if any(name == scale for lines in drawn.values() for scale, _ in lines)]
    shades = dict(zip(scales, mpl.colormaps["viridis"](np.linspace(0.0, 0.82, len(scales))), strict=True))
    columns = min(3, len(drawn))
    rows = math.ceil(len(drawn) / columns)
    start = 0.1 * min(float(curve.flops[-1]) for curve in every)

    def draw(canvas: Canvas) -> None:
        for axes, (label, lines) in zip(panels_of(canvas, len(drawn), columns), drawn.items(), strict=True):
            for scale, curve in lines:
                cut = curve.where(curve.flops >= start)
                _draw(axes, cut.flops, cut, shades[scale], "-", width=1.0)
            axes.set_title(label if len(label) <= 34 else label[:33] + "…", loc="left")
            axes.set_xscale("log")
            axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 3.0)))
            axes.xaxis.set_minor_locator(NullLocator())
            axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: scientific(value)))
            axes.tick_params(axis="x", labelrotation=35)
        canvas.supxlabel("training FLOPs", fontsize=9.5)
        canvas.supylabel("training loss (nats a token)", fontsize=9.5)
        handles = [Line2D([], [], color=shade, linewidth=2) for shade in shades.values()]
        canvas.legend(handles, [safe_label(scale) for scale in scales], loc="outside upper center", ncols=6)

    return render("loss_curves_isoflop", WIDTH if columns > 1 else 5.4, 0.9 + 2.5 * rows, draw), every


def _by_scale(frontier: Frontier, curves: Mapping[str, LossCurve]) -> list[tuple[str, Smooth]]:
    lines = []
    for entry in (entry for fit in frontier.fits for entry in fit.entries):
        own = [curves[s.point.id] for s in entry.scores if s.point.id in curves]
        curve = smoothed(own)
        if curve is not None and np.isfinite(curve.flops).all():
            lines.append((entry.design.scale.name, curve))
    return lines


def _by_size(found: Sequence[Frontier]) -> list[str]:
    """Names of scales, those of small designs first."""
    designs = [entry.design for f in found for fit in f.fits for entry in fit.entries]
    ordered = sorted(designs, key=lambda design: (design.params_non_embedding, design.scale.name))
    return list(dict.fromkeys(design.scale.name for design in ordered))


def _draw(axes: Axes, x: Floats, curve: Smooth, colour: object, dash: object, width: float = 1.3) -> None:
    axes.plot(x, curve.mean, color=colour, linestyle=dash, linewidth=width)
    if curve.seeds > 1:
        axes.fill_between(x, curve.low, curve.high, color=colour, alpha=0.2, linewidth=0)
