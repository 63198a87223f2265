"""How a figure is drawn: matplotlib's style, one palette, and an encoding that gives the same bytes every time.

Text stays text and falls back to the reader's sans-serif, so a figure is small, sharp and searchable. Names come from
studies and agents: mathematics in text is switched off, and a leading underscore does not hide a label.
"""

import io
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from aira_lib.report.columns import si

INK_COLOUR, GRID, MUTED = "#1f2328", "#e4e8ec", "#6e7781"
# Okabe-Ito without its yellow, which is too light for a line on white.
PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#8c564b")
BASELINE_COLOURS = ("#1f2328", "#8c959f", "#57606a")
DASHES = ("-", "--", "-.", ":")
STYLE: dict[Any, Any] = {
    "svg.hashsalt": "aira", "svg.fonttype": "none", "text.parse_math": False, "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"], "font.size": 9.5, "axes.labelsize": 9.5, "axes.titlesize": 10,
    "axes.edgecolor": "#8c959f", "axes.labelcolor": INK_COLOUR, "text.color": INK_COLOUR, "xtick.color": MUTED,
    "ytick.color": MUTED, "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True,
    "axes.axisbelow": True, "grid.color": GRID, "grid.linewidth": 0.8, "legend.frameon": False,
    "legend.fontsize": 9, "lines.linewidth": 1.8, "axes.linewidth": 0.8, "axes.unicode_minus": True,
}  # fmt: skip
FONTS = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, 'DejaVu Sans', sans-serif"
DPI = 144
WIDTH = 8.6  # inches of a figure that is as wide as its page
PAGE_REM = 56  # how wide a page shows it at most, see report.css


@dataclass(frozen=True)
class Figure:
    """A drawn figure: `svg` is a whole SVG file."""

    name: str
    svg: str
    canvas: Canvas = field(repr=False, compare=False)

    def png(self) -> bytes:
        """The same picture in pixels."""
        out = io.BytesIO()
        with mpl.rc_context(STYLE):
            self.canvas.savefig(out, format="png", dpi=DPI, metadata={"Software": None})
        return out.getvalue()

    def inline(self) -> str:
        """The SVG for a page: no prologue, no namespaces, ids that no other figure has."""
        body = self.svg[self.svg.index("<svg") :]
        body = re.sub(r'\s+xmlns(:xlink)?="[^"]*"', "", body).replace("xlink:href", "href")
        return re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{self.name}-", body)


def render(name: str, width: float, height: float, draw: Callable[[Canvas], None]) -> Figure:
    """Draw a figure of some inches and encode it."""
    with mpl.rc_context(STYLE):
        canvas = Canvas(figsize=(width, height), layout="constrained")
        draw(canvas)
        FigureCanvasAgg(canvas)
        svg = io.StringIO()
        canvas.savefig(
            svg, format="svg", dpi=DPI, metadata={"Date": None, "Creator": None, "Format": None, "Type": None}
        )
    return Figure(name, _at_most(_clean(svg.getvalue()), width), canvas)


def _at_most(svg: str, width: float) -> str:
    """Have a page show no figure larger than one of the full width, whose letters would grow with it."""
    return svg.replace("<svg ", f'<svg style="max-width: {PAGE_REM * width / WIDTH:.4g}rem" ', 1)


def _clean(svg: str) -> str:
    """Drop the document type and metadata, which point at the web, and let text take the page's font."""
    svg = re.sub(r"<!DOCTYPE[^>]*>\s*", "", svg)
    svg = re.sub(r"\s*<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"(font: [^;\"]*?[\d.]+px) [^;\"]*", rf"\1 {FONTS}", svg)
    return "\n".join(line.rstrip() for line in svg.splitlines()) + "\n"


def palette(labels: Sequence[str], baselines: Sequence[str]) -> dict[str, dict[str, Any]]:
    """A colour and a dash for every label: finds in colours, baselines in dashed greys, or the first of them alone."""
    if set(labels) <= set(baselines):
        baselines = labels[:1]
    finds = [label for label in labels if label not in baselines]
    greys = [label for label in labels if label in baselines]
    n, m = len(PALETTE), len(BASELINE_COLOURS)
    found = {s: {"color": PALETTE[i % n], "linestyle": DASHES[i // n % len(DASHES)]} for i, s in enumerate(finds)}
    return found | {
        s: {"color": BASELINE_COLOURS[i % m], "linestyle": DASHES[(1 + i // m) % len(DASHES)]}
        for i, s in enumerate(greys)
    }


def si_axis(axes: Axes) -> None:
    """Label a logarithmic horizontal axis, as far as it was drawn, 1M, 2M, 5M; more than two decades 1M, 10M."""
    low, high = axes.get_xlim()
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if high < 200 * low else (1.0,), numticks=12))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: si(value, giga="B").replace(" ", "")))


def panels_of(canvas: Canvas, n: int, columns: int) -> list[Axes]:
    """So many panels with common axes in rows, each column labelled under its lowest one."""
    grid = canvas.subplots(math.ceil(n / columns), columns, sharex=True, sharey=True, squeeze=False)
    for axes in grid.flat[n:]:
        axes.set_axis_off()
    for axes in grid.flat[max(0, n - columns) : n]:
        axes.tick_params(axis="x", labelbottom=True)
    return list(grid.flat[:n])


def safe_label(label: str) -> str:
    """Matplotlib hides legend entries that begin with an underscore; a hair space in front keeps them."""
    return f"\u200a{label}" if label.startswith("_") else label
