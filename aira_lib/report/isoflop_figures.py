"""Figures of equal compute: parabolas, frontiers, differences. Each returns None where there is nothing to draw."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator
from numpy.typing import NDArray

from aira_lib.report.columns import format_number, scientific
from aira_lib.report.drawing import MUTED, PALETTE, WIDTH, Figure, palette, panels_of, render, safe_label, si_axis
from aira_lib.report.isoflop import BudgetFit, Frontier
from aira_lib.scaling.frontier import Contrast, slope_margin
from aira_lib.scaling.noise import Noise

Floats = NDArray[np.float64]


def isoflop_figure(frontiers: Sequence[Frontier]) -> Figure | None:
    """A panel a design: loss against size, a parabola a budget, its minimum a star or the best measured a ring."""
    shown = [f for f in frontiers if any(fit.measured for fit in f.fits)]
    if not shown:
        return None
    budgets = sorted({fit.budget for frontier in shown for fit in frontier.fits})
    shades = mpl.colormaps["viridis"](np.linspace(0.05, 0.8, len(budgets)))
    columns = min(3, len(shown))
    rows = math.ceil(len(shown) / columns)

    def draw(canvas: Canvas) -> None:
        for axes, frontier in zip(panels_of(canvas, len(shown), columns), shown, strict=True):
            for fit in frontier.fits:
                _draw_budget(axes, fit, shades[budgets.index(fit.budget)])
            axes.set_title(_wrapped(frontier.label), loc="left")
            axes.set_xscale("log")
            si_axis(axes)
        canvas.supxlabel("non-embedding parameters", fontsize=9.5)
        canvas.supylabel("held-out loss (nats a token)", fontsize=9.5)
        canvas.legend(
            [Line2D([], [], color=shade, marker="o", markersize=4) for shade in shades]
            + [_mark("*"), _mark("o", hollow=True)],
            [f"{scientific(budget)} FLOPs" for budget in budgets] + ["fitted minimum", "best measured"],
            loc="outside upper center", ncols=min(6, len(budgets) + 2),
        )  # fmt: skip

    return render("isoflop", WIDTH if columns > 1 else 5.4, 0.9 + 2.5 * rows, draw)


def _draw_budget(axes: Axes, fit: BudgetFit, shade: Floats) -> None:
    sizes = [entry.design.params_non_embedding for entry in fit.measured]
    losses = [entry.mean or 0.0 for entry in fit.measured]
    axes.errorbar(
        sizes, losses, yerr=[entry.sd or 0.0 for entry in fit.measured], fmt="o", color=shade, markersize=4,
        elinewidth=1, capsize=2,
    )  # fmt: skip
    if fit.parabola:
        x = np.linspace(math.log10(min(sizes)), math.log10(max(sizes)), 60)
        axes.plot(10**x, [fit.parabola.at(float(v)) for v in x], color=shade, linewidth=1.4)
    elif len(sizes) > 1:
        axes.plot(sizes, losses, color=shade, linewidth=0.8, linestyle=":")
    if fit.optimum:
        hollow = fit.optimum.source == "best measured"
        axes.plot(
            [fit.optimum.n], [fit.optimum.loss], "o" if hollow else "*", markersize=10,
            markerfacecolor="none" if hollow else shade, markeredgecolor=shade if hollow else "white", zorder=4,
        )  # fmt: skip


def _mark(marker: str, hollow: bool = False) -> Line2D:
    fill = "none" if hollow else MUTED
    return Line2D(
        [], [], linestyle="", marker=marker, markersize=9, markerfacecolor=fill, markeredgecolor=MUTED
    )  # fmt: skip


def _wrapped(label: str, width: int = 34) -> str:
    return label if len(label) <= width else label[: width - 1] + "…"


def frontier_figure(frontiers: Sequence[Frontier], noise: Noise | None) -> Figure | None:
    """Lowest loss against budget on two logarithmic axes, a line a design through its fitted minima."""
    shown = [frontier for frontier in frontiers if frontier.optima]
    if not shown or len({budget for frontier in shown for budget, _ in frontier.optima}) < 2:
        return None
    colours = palette([f.label for f in shown], [f.label for f in shown if f.baseline])
    losses = [optimum.loss for frontier in shown for _, optimum in frontier.optima]
    decimals = max(1, 1 - math.floor(math.log10(max(max(losses) - min(losses), 1e-6))))

    def draw(canvas: Canvas) -> None:
        axes = canvas.subplots()
        handles = []
        for frontier in shown:
            style = colours[frontier.label]
            _draw_frontier(axes, frontier, style)
            handles.append(Line2D([], [], **style, label=safe_label(f"{frontier.label}{_slope(frontier, noise)}")))
        axes.set_yscale("log")
        _budget_axis(axes, {budget for frontier in shown for budget, _ in frontier.optima})
        axes.yaxis.set_major_locator(MaxNLocator(6))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.{decimals}f}"))
        axes.set_xlabel("training budget (FLOPs)")
        axes.set_ylabel("best loss (nats a token)")
        handles += [_labelled("*", "fitted minimum"), _labelled("o", "best measured", hollow=True)]
        axes.legend(handles=handles, loc="center left", bbox_to_anchor=(1.01, 0.5))

    return render("frontier", WIDTH, 3.9, draw)


def _slope(frontier: Frontier, noise: Noise | None) -> str:
    """The slope with its margin, where there is one: a bare number looks exact."""
    margin = slope_margin(frontier.profiles, noise)
    if frontier.line is None or margin is None:
        return ""
    return f", slope {frontier.line.slope:.3f} ± {margin:.3f}".replace("-", "−")


def _labelled(marker: str, label: str, hollow: bool = False) -> Line2D:
    mark = _mark(marker, hollow)
    mark.set_label(label)
    return mark


def _draw_frontier(axes: Axes, frontier: Frontier, style: dict[str, Any]) -> None:
    if frontier.line:
        ends = [min(frontier.minima), max(frontier.minima)]
        axes.plot(ends, [10 ** frontier.line.at(math.log10(budget)) for budget in ends], **style, linewidth=1.4)
    for budget, optimum in frontier.optima:
        hollow = optimum.source == "best measured"
        axes.plot(
            [budget], [optimum.loss], "o" if hollow else "*", color=style["color"], markersize=6 if hollow else 10,
            markerfacecolor="white" if hollow else style["color"],
        )  # fmt: skip


def differences_figure(compared: Mapping[str, Contrast]) -> Figure | None:
    """A panel a design: its lowest loss against the reference's under each common budget, and the line through them."""
    shown = {label: made for label, made in compared.items() if made.apart}
    if not shown:
        return None
    budgets = {each.budget for made in shown.values() for each in made.apart}
    columns = min(3, len(shown))
    rows = math.ceil(len(shown) / columns)

    def draw(canvas: Canvas) -> None:
        for axes, (label, made) in zip(panels_of(canvas, len(shown), columns), shown.items(), strict=True):
            _draw_contrast(axes, made)
            axes.set_title(f"{_wrapped(label)}\n{_slope_in_words(made)}", loc="left", fontsize=9)
            _budget_axis(axes, budgets)
            axes.tick_params(axis="x", labelrotation=35)
        canvas.supxlabel("training budget (FLOPs)", fontsize=9.5)
        canvas.supylabel("lowest loss, to baseline (%)", fontsize=9.5)

    return render("frontier_differences", WIDTH if columns > 1 else 5.4, 0.9 + 2.5 * rows, draw)


def _draw_contrast(axes: Axes, made: Contrast) -> None:
    axes.axhline(0, color=MUTED, linewidth=1.2, linestyle="--")
    budgets = [each.budget for each in made.apart]
    values = [_percent(each.difference) for each in made.apart]
    margins = [_percent(each.margin or 0.0) for each in made.apart]
    known = all(each.margin is not None for each in made.apart)
    axes.errorbar(
        budgets, values, yerr=margins if known else None, fmt="o", color=PALETTE[0], markersize=4.5, elinewidth=1.2,
        capsize=3,
    )  # fmt: skip
    ends = [made.at(budgets[0]), made.at(budgets[-1])]
    if ends[0] is not None and ends[1] is not None:
        axes.plot([budgets[0], budgets[-1]], [_percent(end) for end in ends if end is not None], color=PALETTE[1])


def _slope_in_words(made: Contrast) -> str:
    if made.slope is None:
        return f"no slope: {made.budgets} common minima" if made.budgets != 1 else "no slope: 1 common minimum"
    slope = f"slope {format_number(made.slope, '+.4f')}"
    return slope if made.slope_margin is None else f"{slope} ± {made.slope_margin:.4f}, {made.verdict}"


def _percent(log10_ratio: float) -> float:
    return 100 * float(10.0**log10_ratio - 1)


def _budget_axis(axes: Axes, budgets: set[float]) -> None:
    axes.set_xscale("log")
    axes.set_xticks(sorted(budgets), [scientific(budget) for budget in sorted(budgets)])
    axes.xaxis.set_minor_locator(NullLocator())
