"""Held-out loss by how many tokens a prediction sees: what designs make of their context. None without such records."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.lines import Line2D

from aira_lib.report.blocks import Block, FigureBlock, TableBlock
from aira_lib.report.columns import Column, Row, Table
from aira_lib.report.comparison import Comparison
from aira_lib.report.drawing import MUTED, WIDTH, Figure, palette, render, safe_label, si_axis
from aira_lib.report.entries import Entry, mean
from aira_lib.report.results import label


@dataclass(frozen=True)
class Bin:
    """Predictions that see `first` to `last` tokens: the mean loss over seeds, and its error over documents at most."""

    first: int
    last: int
    tokens: int
    loss: float
    stderr: float | None

    @property
    def middle(self) -> float:
        """Its place on a logarithmic axis; a prediction that sees nothing stands at a half."""
        return math.sqrt(max(self.first, 0.5) * max(self.last, 0.5))


def bins_of(entry: Entry) -> tuple[Bin, ...]:
    """A design's bins; empty where its trainings have none, or not the same ones."""
    runs = [score.by_position for score in entry.scores if score.status == "ok"]
    if not runs or len({tuple((each.first, each.last) for each in run) for run in runs}) > 1:
        return ()
    found = []
    for seeds in zip(*runs, strict=True):
        errors = [each.stderr for each in seeds if each.stderr is not None]
        loss = sum(each.loss for each in seeds) / len(seeds)
        # Of the same documents: what seeds have in common is not averaged away, so the mean of errors is the most.
        stderr = mean(errors) if len(errors) == len(seeds) else None
        found.append(Bin(seeds[0].first, seeds[0].last, seeds[0].tokens, loss, stderr))
    return tuple(found)


def position_blocks(comparison: Comparison) -> list[Block]:
    """The figure and its table; nothing where no record tells losses by position."""
    curves = {label(entry): bins for entry in comparison.entries if (bins := bins_of(entry))}
    if not curves:
        return []
    baselines = [label(entry) for entry in comparison.entries if comparison.is_baseline(entry)]
    reference = label(comparison.reference) if comparison.reference else ""
    caption = (
        "Held-out loss by how many tokens a prediction sees, mean over seeds; bands are the standard error over "
        "documents, at most. A design that makes use of its context goes on falling to the right. "
    )
    if reference in curves and len(curves) > 1:
        caption += (
            f"Right: the difference to the baseline {reference}; most of the error on the left is that of the "
            "documents, which all designs have in common, and is not in it."
        )
    figure = positions_figure(curves, baselines, reference)
    return [FigureBlock(figure, caption, ""), TableBlock(positions_table(curves, reference), folded=True)]


def positions_table(curves: dict[str, tuple[Bin, ...]], reference: str) -> Table:
    """Every bin of every design."""
    rows: list[Row] = []
    for name, bins in curves.items():
        against = {(each.first, each.last): each.loss for each in curves.get(reference, ())}
        for each in bins:
            other = against.get((each.first, each.last)) if name != reference else None
            rows.append({"design": name, **vars(each), "difference": None if other is None else each.loss - other})
    columns = [
        Column("design", "Design", style="name"),
        Column("first", "Sees from", "tokens", spec=",d"),
        Column("last", "To", "tokens", spec=",d"),
        Column("tokens", "Scored", "tokens", spec=",d"),
        Column("loss", "Loss", "nats a token", spec=".4f", spread="stderr"),
        Column("difference", "To baseline", "nats a token", spec="+.4f"),
    ]
    return Table("loss_by_position", "Held-out loss by position in the context.", columns, rows, group="design")


def positions_figure(curves: dict[str, tuple[Bin, ...]], baselines: Sequence[str], reference: str) -> Figure:
    """Loss against the tokens that a prediction sees, and beside it the difference to a reference."""
    colours = palette(list(curves), [name for name in curves if name in baselines])
    apart = {} if reference not in curves else _differences(curves, reference)

    def draw(canvas: Canvas) -> None:
        panels = canvas.subplots(1, 2 if apart else 1, squeeze=False)[0]
        for name, bins in curves.items():
            _draw(panels[0], [each.middle for each in bins], [each.loss for each in bins], colours[name])
            if all(each.stderr is not None for each in bins):
                panels[0].fill_between(
                    [each.middle for each in bins],
                    [each.loss - (each.stderr or 0.0) for each in bins],
                    [each.loss + (each.stderr or 0.0) for each in bins],
                    color=colours[name]["color"], alpha=0.12, linewidth=0,
                )  # fmt: skip
        panels[0].set_ylabel("held-out loss (nats a token)")
        for name, places in apart.items():
            _draw(panels[1], [x for x, _ in places], [y for _, y in places], colours[name])
        if apart:
            panels[1].axhline(0, color=MUTED, linestyle="--", linewidth=1)
            panels[1].set_ylabel("to the baseline")
        for axes in panels:
            axes.set_xscale("log")
            si_axis(axes)
            axes.set_xlabel("tokens that a prediction sees")
        handles = [Line2D([], [], **colours[name], linewidth=2) for name in curves]
        canvas.legend(handles, [safe_label(name) for name in curves], loc="outside upper center", ncols=3)

    return render("loss_by_position", WIDTH if apart else 5.4, 3.0 + 0.2 * ((len(curves) + 2) // 3), draw)


def _differences(curves: dict[str, tuple[Bin, ...]], reference: str) -> dict[str, list[tuple[float, float]]]:
    against = {(each.first, each.last): each.loss for each in curves[reference]}
    return {
        name: [(b.middle, b.loss - against[b.first, b.last]) for b in bins if (b.first, b.last) in against]
        for name, bins in curves.items()
        if name != reference
    }


def _draw(axes: Axes, x: Sequence[float], y: Sequence[float], style: dict[str, Any]) -> None:
    axes.plot(x, y, marker="o", markersize=3, linewidth=1.3, **style)
