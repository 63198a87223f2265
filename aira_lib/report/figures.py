"""The figures of the report. Each function returns None where there is nothing to draw."""

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

from aira_lib.report.columns import scientific, si
from aira_lib.report.drawing import DASHES, MUTED, PALETTE, WIDTH, Figure, palette, render, safe_label, si_axis
from aira_lib.report.inputs import LossCurve, SearchRun
from aira_lib.report.isoflop import BudgetFit, Frontier
from aira_lib.report.refit import Noise, slope_margin
from aira_lib.report.searches import by_agent, dynamics, is_valid, measure
from aira_lib.report.strips import Strip, colour_of, ink_of

Floats = NDArray[np.float64]
# Past so many nodes the dots of a search become pixels: a paper-sized study has 85,000.
MAX_VECTOR_DOTS = 2000

# --- search dynamics --------------------------------------------------------------------------------------------------


def search_figure(searches: Sequence[SearchRun]) -> Figure | None:
    """Best validation fitness so far by step: mean and range over seeds, nodes as dots, failed nodes as crosses."""
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
        axes.set_ylabel(f"validation {measure(any(run.lower_is_better for run in searches))}")
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


# --- loss curves ------------------------------------------------------------------------------------------------------


def curves_figure(curves: Mapping[str, Sequence[LossCurve]], baselines: Sequence[str]) -> Figure | None:
    """Training loss against tokens, a colour a design and a line a seed.

    Args:
        curves: label -> the curves of its seeds, in the order of the legend.
        baselines: labels drawn in greys.
    """
    whole = {label: [xy for c in group if len((xy := _averaged(c, 240))[0])] for label, group in curves.items()}
    whole = {label: group for label, group in whole.items() if group}
    if not whole:
        return None
    colours = palette(list(whole), baselines)
    end = max(tokens[-1] for group in whole.values() for tokens, _ in group)
    late = {label: [_averaged(c, 24, end / 2) for c in curves[label]] for label in whole}

    def draw(canvas: Canvas) -> None:
        left, right = canvas.subplots(1, 2, width_ratios=(1, 1))
        for axes, lines in ((left, whole), (right, late)):
            for label, group in lines.items():
                for tokens, loss in group:
                    axes.plot(tokens, loss, **colours[label], linewidth=1.2, alpha=0.9)
            axes.set_xlabel("tokens")
        left.set_xscale("log")
        si_axis(left)
        right.xaxis.set_major_locator(MaxNLocator(5))
        right.xaxis.set_major_formatter(FuncFormatter(lambda value, _: si(value).replace(" ", "")))
        left.set_ylabel("training loss (nats a token)")
        right.set_title("second half", loc="left")
        handles = [Line2D([], [], **colours[label], linewidth=2) for label in whole]
        canvas.legend(handles, [safe_label(label) for label in whole], loc="outside upper center", ncols=3)

    return render("loss_curves", WIDTH, 3.9 + 0.2 * math.ceil(len(whole) / 3), draw)


def _averaged(curve: LossCurve, n_blocks: int, after: float = 0.0) -> tuple[Floats, Floats]:
    """Means over equal blocks of the steps past some tokens; what is not finite is left out."""
    tokens, loss = np.asarray(curve.tokens, dtype=np.float64), np.asarray(curve.loss, dtype=np.float64)
    good = np.isfinite(loss) & (tokens > after)
    tokens, loss = tokens[good], loss[good]
    blocks = np.array_split(np.arange(len(loss)), min(n_blocks, len(loss))) if len(loss) else []
    return np.array([tokens[b].mean() for b in blocks]), np.array([loss[b].mean() for b in blocks])


# --- equal FLOPs ------------------------------------------------------------------------------------------------------


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
        panels = canvas.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        for axes, frontier in zip(panels.flat, shown, strict=False):
            for fit in frontier.fits:
                _draw_budget(axes, fit, shades[budgets.index(fit.budget)])
            axes.set_title(_wrapped(frontier.label), loc="left")
            axes.set_xscale("log")
            si_axis(axes)
        for axes in panels.flat[len(shown) :]:
            axes.set_axis_off()
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
        axes.set_xscale("log")
        axes.set_yscale("log")
        budgets = sorted({budget for frontier in shown for budget, _ in frontier.optima})
        axes.set_xticks(budgets, [scientific(budget) for budget in budgets])
        axes.xaxis.set_minor_locator(NullLocator())
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
    margin = slope_margin(frontier, noise)
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
