"""`aira latency`: the times of a study's designs, or of one pattern, as tables; or what measuring them would take."""

import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import get_args

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from aira_lib.architecture.pattern import Layers, parse, render
from aira_lib.architecture.scales import Scale, scale_named
from aira_lib.console import Console as ErrorConsole
from aira_lib.console import result_console, size
from aira_lib.device import cores
from aira_lib.errors import UserError, nearest
from aira_lib.flow.finished import finished_units, units_to_make
from aira_lib.flow.run import fetch
from aira_lib.flow.scales import baselines_at, designs_at
from aira_lib.flow.stage import POINTS
from aira_lib.flow.units import units_of
from aira_lib.local.session import run_one_stage
from aira_lib.planning.pattern_data import primitives_of
from aira_lib.records import DesignTime, Latency, ScaledDesign, read_row, read_rows
from aira_lib.settings import Settings
from aira_lib.store import open_store
from aira_lib.study import LatencyMode, LatencySection, Study
from aira_lib.track.log import TrackLog
from aira_lib.work import Work


def section_of(
    scale: str, batch: int | None, seq_len: int | None, modes: str | None, repeats: int | None
) -> LatencySection:
    """What is measured of a single pattern; None: the default.

    Raises:
        UserError: a mode that there is not, or one twice.
    """
    valid: tuple[LatencyMode, ...] = get_args(LatencyMode)
    named = modes.split(",") if modes is not None else list(valid)
    for mode in named:
        if mode not in valid:
            raise UserError(f"--modes {modes!r}: no mode {mode!r}{nearest(mode, valid)}")
    if len({*named}) < len(named):
        raise UserError(f"--modes {modes!r}: name each mode once")
    chosen = tuple(mode for mode in valid if mode in named)
    given = {"batch": batch, "seq_len": seq_len, "repeats": repeats}
    sizes = {name: value for name, value in given.items() if value is not None}
    return LatencySection.model_validate({"scale": scale, "modes": chosen, **sizes})


def time_pattern(text: str, section: LatencySection, dry_run: bool) -> None:
    """Measure one pattern at a built-in scale, with all cores unless AIRA_THREADS says how many, and show the times.

    Raises:
        UserError: the text is no pattern, there is no such scale, or it does not fit into memory.
    """
    from aira_lib.latency.stage import measured_latency

    layers = parse(text)
    scale, designs = scale_named(section.scale, primitives_of(layers)), {render(layers): layers}
    console = result_console()
    if dry_run:
        return _show_plan(console, section, scale, designs)
    threads = Settings.from_environment().threads if os.environ.get("AIRA_THREADS") else cores()
    with tempfile.TemporaryDirectory() as folder, ErrorConsole(stderr=True).status("measuring") as status:
        path = Path(folder)
        work = Work(path, TrackLog(path / "track.jsonl"), threads=threads)
        work.progress = lambda done, total, note: status.update(note)
        measured = measured_latency(section, scale, designs, work)
    _show(console, measured)


def time_study(study: Study, settings: Settings, dry_run: bool) -> None:
    """Measure the designs of a study at the scale of its section `latency`, or find the record, and show it.

    Raises:
        UserError: it has no such section, its designs are not made yet, or do not fit into memory.
    """
    if not dry_run:
        run_one_stage("latency", study, None, settings)
        ((unit, _),) = units_to_make("latency", study, None, settings)
        record = fetch(f"{open_store(settings.store).uri}/{unit.folder(study)}", settings)
        return _show(result_console(), read_row(record.path / "latency.json", Latency))
    if study.latency is None:
        raise UserError(f"study {study.name} does not ask for stage latency; give it a section 'latency'")
    console, known = result_console(), _known(study, settings)
    _show_plan(console, study.latency, *designs_at(study, study.latency.scale, known or _baselines(study)))
    if not known:
        console.print("The baselines alone: which other designs there are is known after `aira extrapolate`.")


def _known(study: Study, settings: Settings) -> list[ScaledDesign]:
    """The designs of the finished extrapolation; none where it is not finished."""
    units = finished_units(study, settings, units_of(POINTS, study))
    records = [fetch(f"{open_store(settings.store).uri}/{unit.folder(study)}", settings) for unit in units]
    return [design for each in records for design in read_rows(each.path / "designs.jsonl", ScaledDesign)]


def _baselines(study: Study) -> list[ScaledDesign]:
    assert study.latency
    return baselines_at(study, [study.latency.scale])


def _show_plan(console: Console, section: LatencySection, scale: Scale, designs: Mapping[str, Layers]) -> None:
    """Print what is measured, what its memory holds, and what a measurement needs of the memory that there is."""
    import torch

    from aira_lib.device import ready_device
    from aira_lib.latency.measure import plan
    from aira_lib.latency.memory import free, held, needed
    from aira_lib.latency.stage import workloads

    device = torch.device(ready_device())
    room, table = free(device), _table("mode", "design", "weights", "KV cache", "states", "needed", "")
    for work in workloads(section, scale, device):
        planned = plan(work, list(dict.fromkeys(designs.values())), room)
        for name, layers in designs.items():
            sizes = (*held(layers, work), needed(layers, work))
            table.add_row(work.mode, name, *map(size, sizes), "only blocks" if layers in planned.left_out else "")
    console.print(table)
    length = section.seq_len or scale.seq_len
    console.print(
        f"{section.batch} × {length:,} tokens at scale {scale.name}, {section.repeats} repeats; "
        f"{size(room) if room is not None else 'unknown'} free on {device.type}.",
        soft_wrap=True,
    )


def _show(console: Console, measured: Latency) -> None:
    """Print the times of blocks and of designs."""
    modes = list(dict.fromkeys(each.mode for each in measured.blocks))
    blocks = _table("block", *modes)
    of_block = {(each.block, each.mode): each for each in measured.blocks}
    for block in dict.fromkeys(each.block for each in measured.blocks):
        cells = (of_block[block, mode] for mode in modes)
        blocks.add_row(block, *(_time(each.seconds, each.low, each.high) for each in cells))
    console.print(blocks)
    designs = _table("mode", "design", "sum of blocks", "whole", "sum / whole", "weights", "KV cache", "states")
    for each in measured.designs:
        held = map(size, (each.weights, each.key_values, each.states))
        designs.add_row(each.mode, each.design, _time(each.sum_seconds), *_whole(each), *held)
    console.print(designs)
    console.print(
        f"{measured.batch} × {measured.seq_len:,} tokens at scale {measured.scale} on {measured.device_name}, "
        f"{measured.threads} thread{'s' * (measured.threads > 1)}, {measured.precision}, {measured.kernels} kernels"
        f"{', CUDA graphs' if measured.graph else ''}; medians and quartiles. Blocks have their norm and addition with "
        "them; training is forward and backward pass, without the optimizer's step.",
        soft_wrap=True,
    )
    if measured.busy:
        console.print(measured.busy, soft_wrap=True)
    for note in dict.fromkeys(f"{each.mode} of {each.design}: {each.note}" for each in measured.designs if each.note):
        console.print(note, soft_wrap=True, markup=False)


def _whole(each: DesignTime) -> Sequence[str]:
    if each.whole_seconds is None or each.ratio is None:
        return "–", "–"
    ratio = f"{each.ratio:.2f} ({each.ratio_low:.2f} to {each.ratio_high:.2f})"
    return _time(each.whole_seconds, each.whole_low, each.whole_high), ratio


def _time(seconds: float, low: float | None = None, high: float | None = None) -> str:
    """Such as 12.3 ms (12.1 to 12.9)."""
    unit, factor = next((u, f) for u, f, least in (("s", 1, 1), ("ms", 1e3, 1e-3), ("µs", 1e6, 0)) if seconds >= least)
    spread = "" if low is None or high is None else f" ({_digits(low * factor)} to {_digits(high * factor)})"
    return f"{_digits(seconds * factor)} {unit}{spread}"


def _digits(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def _table(*columns: str) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column, justify="left" if column in ("mode", "design", "block", "") else "right")
    return table
