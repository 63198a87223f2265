"""The section of measured times: blocks, designs as sums and as wholes, and fronts where the two agree."""

from collections.abc import Sequence
from dataclasses import replace

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import MaxNLocator

from aira_lib.records import DesignTime, Latency
from aira_lib.report.blocks import Block, FigureBlock, Section, TableBlock, TextBlock
from aira_lib.report.columns import Column, Row, Table, prefix
from aira_lib.report.comparison import Comparison
from aira_lib.report.drawing import MUTED, WIDTH, Figure, palette, render, safe_label
from aira_lib.report.entries import Entry, family
from aira_lib.significance.pareto import Front, Timed, latency_front

MODES = {"prefill": "prefill", "decode": "decoding a token", "train": "a training step"}


def latency_sections(measured: Latency | None, comparison: Comparison) -> list[Section]:
    """One section; none where nothing was measured. It holds seconds, which differ between equal studies."""
    if measured is None:
        return []
    fronts = {mode: front_of(measured, mode, comparison) for mode in modes_of(measured)}
    blocks: list[Block] = [
        TextBlock(_on_what(measured)),
        *([TextBlock(f"{measured.busy} These times are those of others, too.")] if measured.busy else []),
        TableBlock(blocks_table(measured)),
        TableBlock(designs_table(measured, fronts, comparison)),
        *(TextBlock(text) for mode, (front, _) in fronts.items() if (text := _refusal(mode, front))),
    ]
    drawn = {mode: (front, timed) for mode, (front, timed) in fronts.items() if front.names}
    if drawn:
        caption = (
            "Held-out loss at equal tokens against the time of the whole design. The line joins the designs that no "
            "other is both as fast and as good as, for each mode by itself. Losses have an error of their own."
        )
        baselines = [family(e.design.name) for e in comparison.entries if comparison.is_baseline(e)]
        blocks.append(FigureBlock(front_figure(drawn, baselines), caption, ""))
    return [Section("latency", "Latency", blocks, seconds=True)]


def modes_of(measured: Latency) -> list[str]:
    """Modes that were measured, in the order of the record."""
    return list(dict.fromkeys(each.mode for each in measured.designs))


def _on_what(measured: Latency) -> str:
    how = ", prefill and decoding as one CUDA graph a call" if measured.graph else ""
    many = "s" * (measured.threads != 1)
    cores = f" with {measured.threads} thread{many}" if measured.device == "cpu" else ""
    return (
        f"Measured at {measured.scale} on {measured.device_name}{cores}, in {measured.precision}, kernels "
        f"{measured.kernels}{how}: batches of {measured.batch:,}, {measured.seq_len:,} tokens long. These are times of "
        "one machine; on another, designs may rank otherwise."
    )


def blocks_table(measured: Latency) -> Table:
    """Every block in every mode: median and quartiles."""
    per, unit = _unit([each.seconds for each in measured.blocks])
    rows: list[Row] = [
        {
            "mode": MODES[each.mode],
            "block": each.block,
            "seconds": each.seconds,
            "quartiles": _quartiles(each.low, each.high, per),
            "low": each.low,
            "high": each.high,
            "repeats": each.repeats,
        }
        for each in measured.blocks
    ]
    columns = [
        Column("mode", "Mode", style="name"),
        Column("block", "Block", style="name"),
        Column("seconds", "Median", unit, spec=".3f", per=per),
        Column("quartiles", "Quartiles", unit, style="name"),
        Column("low", "Lower quartile", shown=False),
        Column("high", "Upper quartile", shown=False),
        Column("repeats", "Repeats", spec="d"),
    ]
    caption = "Times of single blocks; a primitive's is that of its layer, with its norm and its residual addition."
    return Table("latency_blocks", caption, columns, rows, group="mode")


def designs_table(measured: Latency, fronts: dict[str, tuple[Front, list[Timed]]], comparison: Comparison) -> Table:
    """Every design in every mode: the sum of its blocks, the whole as measured, and its memory."""
    wholes = [each.whole_seconds for each in measured.designs if each.whole_seconds is not None]
    per, unit = _unit([*wholes, *(each.sum_seconds for each in measured.designs)])
    size, letter = prefix([value for each in measured.designs for value in (each.weights,)])
    columns = [
        Column("mode", "Mode", style="name"),
        Column("design", "Design", style="name"),
        Column("sum_seconds", "Sum of blocks", unit, spec=".3f", per=per),
        Column("whole_seconds", "Whole", unit, spec=".3f", per=per),
        Column("quartiles", "Quartiles", unit, style="name"),
        Column("ratio", "Sum by whole", spec=".3f"),
        Column("ratio_low", "Lower quartile of the ratio", shown=False),
        Column("ratio_high", "Upper quartile of the ratio", shown=False),
        Column("loss", "Loss", "nats a token", spec=".4f", spread="loss_sd"),
        Column("loss_sd", "Standard deviation of the loss", shown=False),
        Column("front", "On the front", style="name"),
        Column("weights", "Weights", f"{letter}B", spec=".2f", per=size),
        Column("key_values", "KV cache", f"{letter}B", spec=".2f", per=size),
        Column("states", "States", f"{letter}B", spec=".2f", per=size),
        Column("peak", "Peak", f"{letter}B", spec=".1f", per=size),
        Column("pattern", "Pattern", shown=False),
        Column("note", "Note", style="text"),
    ]
    rows = [_design_row(each, fronts[each.mode][0], measured, comparison, per) for each in measured.designs]
    told = {"peak": any(each.peak for each in measured.designs), "note": any(each.note for each in measured.designs)}
    columns = [replace(column, shown=column.shown and told.get(column.key, True)) for column in columns]
    caption = (
        "Times of designs: sums of their blocks by layer counts, as in the paper, plus embedding, final norm and head; "
        "beside them the whole model. The ratio is the median over rounds that measured both. ± of a loss is the "
        "standard deviation over seeds; a front goes by means. Weights, KV cache and states are of the batch at its "
        "full length; in training there is no cache."
    )
    return Table("latency_designs", caption, columns, rows, "No design was measured.", group="mode", marked="baseline")


def _design_row(each: DesignTime, front: Front, measured: Latency, comparison: Comparison, per: float) -> Row:
    entry = entry_of(each, measured, comparison)
    name = family(each.design)
    return {
        "mode": MODES[each.mode],
        "design": name,
        "quartiles": _quartiles(each.whole_low, each.whole_high, per),
        "loss": entry.mean if entry else None,
        "loss_sd": entry.sd if entry else None,
        "front": _on_front(name, front, entry),
        "baseline": comparison.is_baseline(entry) if entry else False,
        **each.model_dump(
            include={
                "sum_seconds", "whole_seconds", "ratio", "ratio_low", "ratio_high", "weights", "key_values", "states",
                "peak", "pattern", "note",
            }
        ),
    }  # fmt: skip


def _on_front(name: str, front: Front, entry: Entry | None) -> str | None:
    """None where that is not known: there is no front, or the design has no loss."""
    if front.refusal or entry is None or entry.mean is None:
        return None
    return "yes" if name in front.names else "no"


def entry_of(each: DesignTime, measured: Latency, comparison: Comparison) -> Entry | None:
    """The losses of the same design at the scale that was measured."""
    found = (e for e in comparison.entries if e.design.scale.name == measured.scale)
    return next((e for e in found if family(each.design) in [family(name) for name in e.names]), None)


def front_of(measured: Latency, mode: str, comparison: Comparison) -> tuple[Front, list[Timed]]:
    """The front of a mode, and what it is made of."""
    timed = []
    for each in measured.designs:
        entry = entry_of(each, measured, comparison)
        if each.mode == mode and entry is not None and entry.mean is not None:
            timed.append(Timed(family(each.design), entry.mean, each.sum_seconds, each.whole_seconds, each.ratio))
    return latency_front(timed), timed


def _refusal(mode: str, front: Front) -> str:
    if not front.refusal:
        return ""
    return f"There is no Pareto front for {MODES[mode]}: {front.refusal}."


def _unit(seconds: Sequence[float]) -> tuple[float, str]:
    least = min((value for value in seconds if value > 0), default=1.0)
    return (1e-3, "ms") if least >= 1e-4 else (1e-6, "µs")


def _quartiles(low: float | None, high: float | None, per: float) -> str | None:
    return None if low is None or high is None else f"{low / per:.3f} to {high / per:.3f}"


def front_figure(drawn: dict[str, tuple[Front, list[Timed]]], baselines: Sequence[str]) -> Figure:
    """A panel a mode: loss against time, the front as a line through its designs."""
    labels = list(dict.fromkeys(each.name for _, timed in drawn.values() for each in timed))
    colours = palette(labels, [label for label in labels if label in baselines])

    def draw(canvas: Canvas) -> None:
        panels = canvas.subplots(1, len(drawn), sharey=True, squeeze=False)[0]
        for axes, (mode, (front, timed)) in zip(panels, drawn.items(), strict=True):
            _draw(axes, front, timed, {label: str(style["color"]) for label, style in colours.items()})
            axes.set_title(MODES[mode], loc="left")
        panels[0].set_ylabel("held-out loss (nats a token)")
        handles, names = panels[0].get_legend_handles_labels()
        canvas.legend(handles, names, loc="outside upper center", ncols=3)

    return render("latency_front", WIDTH, 3.2 + 0.2 * ((len(labels) + 2) // 3), draw)


def _draw(axes: Axes, front: Front, timed: Sequence[Timed], colours: dict[str, str]) -> None:
    places = {each.name: (1e3 * (each.whole_seconds or 0.0), each.loss) for each in timed}
    on = [places[name] for name in front.names]
    axes.plot([x for x, _ in on], [y for _, y in on], color=MUTED, linewidth=1, linestyle="--", zorder=1)
    for name, (x, y) in places.items():
        face = colours[name] if name in front.names else "white"
        axes.plot(
            x, y, "o", color=colours[name], markerfacecolor=face, markersize=6, label=safe_label(name), linestyle="None"
        )
    axes.set_xlabel("ms, whole design")
    axes.xaxis.set_major_locator(MaxNLocator(4))
