"""The check of learning rates: what runs that differ in nothing else say of the study's peaks."""

from collections.abc import Sequence

from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from aira_lib.report.blocks import Block, FigureBlock, Section, TableBlock, TextBlock
from aira_lib.report.columns import Column, Row, Table
from aira_lib.report.drawing import DASHES, MUTED, PALETTE, WIDTH, Figure, render, safe_label
from aira_lib.report.entries import family
from aira_lib.training.rate_check import RateCheck


def rate_sections(checks: Sequence[RateCheck]) -> list[Section]:
    """One section; none where the study checked no rates."""
    if not checks:
        return []
    caption = (
        "Loss against the peak learning rate at each scale, at the smallest budget; rings are the study's own peaks. "
        "There is one seed a rate: losses that differ by no more than seeds do are equally good. What is right at the "
        "smallest budget may be a little high at the largest, and for designs other than the one that was tried it is "
        "a guess."
    )
    blocks: list[Block] = [
        *(TextBlock(f"{check.sentence}.") for check in checks),
        FigureBlock(rates_figure(checks), caption, "Every rate that was tried diverged, so there is nothing to draw."),
        TableBlock(rates_table(checks)),
    ]
    return [Section("rates", "Learning rates", blocks)]


def rates_table(checks: Sequence[RateCheck]) -> Table:
    """Every rate that was tried."""
    rows: list[Row] = [
        {
            "scale": check.design.scale.name,
            "design": family(check.design.name),
            "steps": check.steps,
            "rate": tried.rate,
            "of_peak": tried.rate / check.peak,
            "train_loss": tried.train_loss,
            "loss": tried.loss,
            "note": "diverged" if tried.diverged else "lowest" if place == check.lowest else "",
            "own": tried.rate == check.peak,
        }
        for check in checks
        for place, tried in enumerate(check.tried)
    ]
    columns = [
        Column("scale", "Scale", style="name"),
        Column("design", "Design", style="name"),
        Column("steps", "Steps", spec=",d"),
        Column("rate", "Peak rate", spec=".3g"),
        Column("of_peak", "Of the study's", "times", spec=".3g"),
        Column("train_loss", "Training loss", "nats a token", spec=".4f"),
        Column("loss", "Held-out loss", "nats a token", spec=".4f"),
        Column("note", "Note", style="text"),
    ]
    caption = "Rates that were tried; the study's own peaks are marked."
    return Table("learning_rates", caption, columns, rows, "No rate was tried.", group="scale", marked="own")


def rates_figure(checks: Sequence[RateCheck]) -> Figure | None:
    """A line a scale: loss against rate, the study's own peak in a ring."""
    shown = [check for check in checks if check.lowest is not None]
    if not shown:
        return None

    def draw(canvas: Canvas) -> None:
        axes = canvas.subplots()
        for place, check in enumerate(shown):
            points = [(t.rate, loss) for t, loss in zip(check.tried, check.losses, strict=True) if loss is not None]
            colour, dash = PALETTE[place % len(PALETTE)], DASHES[place // len(PALETTE) % len(DASHES)]
            label = safe_label(f"{check.design.scale.name}, {family(check.design.name)}")
            axes.plot(*zip(*points, strict=True), color=colour, linestyle=dash, marker="o", markersize=4.5, label=label)
            own = [(rate, loss) for rate, loss in points if rate == check.peak]
            if own:
                axes.plot(*zip(*own, strict=True), "o", markersize=11, markerfacecolor="none", markeredgecolor=colour)
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}"))
        axes.set_xlabel("peak learning rate")
        axes.set_ylabel("loss (nats a token)")
        axes.plot([], [], "o", markersize=11, markerfacecolor="none", markeredgecolor=MUTED, label="the study's peak")
        axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))

    return render("learning_rates", WIDTH, 3.6, draw)
