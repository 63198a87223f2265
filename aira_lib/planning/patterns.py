"""A pattern in the terminal: its strip of layers, what it costs, and which published design is nearest.

Everything shown is also plain data (`aira_lib.planning.pattern_data`) for ``--json``.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.style import Style
from rich.table import Table
from rich.text import Text

from aira_lib.architecture.cost import count, params
from aira_lib.architecture.pattern import render
from aira_lib.architecture.primitives import PAPER_PRIMITIVES
from aira_lib.architecture.reference import design, designs
from aira_lib.architecture.scales import scale_named
from aira_lib.planning.pattern_data import CONTEXT, ScaleCost, design_data, pattern_data
from aira_lib.report.strips import colour_of, ink_of

TABLE_WIDTH = 72
"""Columns that the table of costs needs; narrower consoles get a line for each value."""
CELL = 3
LABEL = 6


def strip(layers: Sequence[str], width: int, colour: bool) -> Text:
    """The layers as cells with their names, as many a line as a terminal of `width` characters holds.

    Each line starts with the number of its first layer. Without `colour` the names stand alone.
    """
    fitting = max(1, (width - LABEL) // CELL)
    per_line = min(32, fitting // 8 * 8 or fitting)
    text = Text()
    for start in range(0, len(layers), per_line):
        text.append(f"{start + 1:>{LABEL - 1}} ", style="dim")
        for layer in layers[start : start + per_line]:
            style = Style(color=ink_of(layer), bgcolor=colour_of(layer), bold=True) if colour else Style()
            text.append(f"{layer:^{CELL}}", style=style)
        text.append("\n")
    text.rstrip()
    return text


def ratio(counts: dict[str, int]) -> str:
    """Attention to MLP layers, such as ``0.75:1``."""
    return f"{counts['A'] / counts['M']:.2f}:1" if counts["M"] else "no MLP"


def show_pattern(console: Console, text: str, n_primitives: int | None, as_json: bool) -> None:
    """Draw a pattern and print its numbers."""
    data = pattern_data(text, n_primitives)
    if as_json:
        print(json.dumps(asdict(data), ensure_ascii=False))
        return
    console.print(strip(data.layers, console.width, console.is_terminal), soft_wrap=True)
    found = data.nearest
    near = f"{found.name}, {_changes(found.edit_distance)}"
    _fields(
        console,
        [
            ("canonical", data.canonical),
            ("layers", f"{data.n_layers} ({_counts(data.counts)})"),
            ("A:M", ratio(data.counts)),
            ("nearest", near if not found.edit_distance else f"{near}: {found.pattern}"),
        ],
    )
    _show_costs(console, data.costs, data.n_primitives)


def _changes(distance: int) -> str:
    return "the same layers" if not distance else f"{distance} layer{'s' * (distance > 1)} to change"


def _counts(counts: dict[str, int]) -> str:
    return " ".join(f"{primitive}{n}" for primitive, n in counts.items() if n)


def _fields(console: Console, lines: Sequence[tuple[str, str]]) -> None:
    for name, value in lines:
        console.print(f"[bold]{name:<15}[/] {escape(value)}", soft_wrap=not console.is_terminal)


def _show_costs(console: Console, rows: Sequence[ScaleCost], n_primitives: int) -> None:
    columns = ("params", "with embedding", "FLOPs/token", "KV cache", "SSM state")
    cells = {row.scale: _cost_cells(row) for row in rows}
    if console.width < TABLE_WIDTH:
        for scale, values in cells.items():
            _fields(console, [(f"{scale} {columns[0]}", values[0]), *zip(columns[1:], values[1:], strict=True)])
    else:
        table = Table("scale", box=SIMPLE_HEAD, pad_edge=False)
        for column in columns:
            table.add_column(column, justify="right")
        for scale, values in cells.items():
            table.add_row(scale, *values)
        console.print(table)
    console.print(
        f"Widths of the space of {n_primitives} primitives; training FLOPs as the paper counts them; memory of one "
        f"sequence of {CONTEXT:,} tokens in 16 bits.",
        style="dim",
        soft_wrap=not console.is_terminal,
    )


def _cost_cells(row: ScaleCost) -> tuple[str, ...]:
    return (
        _billions(row.params),
        _billions(row.params_with_embedding),
        f"{row.flops_per_token:.3g}",
        _bytes(row.kv_cache_bytes),
        _bytes(row.ssm_state_bytes),
    )


def _billions(n: int) -> str:
    return f"{n / 1e9:.2f} B" if n >= 1e8 else f"{n / 1e6:.1f} M"


def _bytes(n: int) -> str:
    for unit, size in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if n >= size:
            return f"{n / size:.1f} {unit}"
    return f"{n} B"


def list_designs(console: Console, as_json: bool) -> None:
    """Print every published design: its layers, counts, parameters and number of contradictions."""
    if as_json:
        print(json.dumps([asdict(design_data(d)) for d in designs()], ensure_ascii=False))
        return
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for column in ("design", "layers", *PAPER_PRIMITIVES, "params", "contradictions"):
        table.add_column(column, justify="left" if column in ("design", "contradictions") else "right", overflow="fold")
    for d in designs():
        counts = count(d.layers)
        size = _billions(params(d.layers, scale_named(d.scale, d.n_primitives))[0]) if d.scale else "base"
        said = str(len(d.contradictions)) if d.contradictions else ""
        table.add_row(d.name, str(d.n_layers), *(str(counts[p]) for p in PAPER_PRIMITIVES), size, said)
    console.print(table)
    console.print("`aira design show NAME` shows one; parameters without embedding.", soft_wrap=True)


def show_design(console: Console, name: str, as_json: bool) -> None:
    """Draw a published design and print what the paper says about it, and where it contradicts itself.

    Raises:
        UserError: no such design.
    """
    found = design(name)
    if as_json:
        print(json.dumps(asdict(design_data(found)), ensure_ascii=False))
        return
    counts = count(found.layers)
    console.print(f"[bold]{escape(found.name)}[/] · {escape(found.source)}", soft_wrap=True)
    console.print(strip(found.layers, console.width, console.is_terminal), soft_wrap=True)
    lines = [
        ("pattern", render(found.layers)),
        ("printed", found.printed),
        ("choice", found.choice or "as printed, layer for layer"),
        ("layers", f"{found.n_layers} ({_counts(counts)})"),
        ("A:M", ratio(counts) + (f" (printed {found.printed_a_to_m}:1)" if found.printed_a_to_m else "")),
    ]
    if found.printed_params:
        lines.append(("printed size", "{:.2f} B, {:.2f} B with embedding".format(*found.printed_params)))
    _fields(console, [*lines, *(("contradiction", text) for text in found.contradictions)])
    _show_costs(console, design_data(found).costs, found.n_primitives)
