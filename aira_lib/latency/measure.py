"""Blocks and whole designs side by side, in one mode: in the same rounds, so that a drift of the machine meets both."""

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NamedTuple

import torch

from aira_lib.architecture.pattern import Layers, render
from aira_lib.architecture.primitives import PRIMITIVES
from aira_lib.console import size
from aira_lib.errors import UserError
from aira_lib.latency.graph import graphed
from aira_lib.latency.memory import USABLE, free, held, needed, needed_of_blocks, refusal_in_words
from aira_lib.latency.timing import Call, Clock, CudaClock, Spread, WallClock, interleaved, spread
from aira_lib.latency.workload import ENDS, STACK, Workload
from aira_lib.records import BlockTime, DesignTime


class Bounds(NamedTuple):
    """Samples of each case, and the seconds that one case may take in a mode."""

    repeats: int
    seconds: float


class Found(NamedTuple):
    """What was measured in a mode; `graph`: each call was one CUDA graph."""

    blocks: tuple[BlockTime, ...]
    designs: tuple[DesignTime, ...]
    graph: bool


@dataclass
class _Samples:
    """Seconds of blocks and of whole designs, and the sums by the wholes, as groups of designs are measured."""

    blocks: dict[str, list[float]] = field(default_factory=dict)
    wholes: dict[Layers, list[float]] = field(default_factory=dict)
    ratios: dict[Layers, list[float]] = field(default_factory=dict)
    peaks: dict[Layers, int] = field(default_factory=dict)


class _Refused(Exception):
    """A call cannot be captured as a graph."""


class Plan(NamedTuple):
    """What fits into memory: designs by groups that are measured at once, and why others are not."""

    groups: tuple[tuple[Layers, ...], ...]
    left_out: dict[Layers, str]


def plan(work: Workload, designs: Sequence[Layers], room: int | None) -> Plan:
    """Divide designs into groups that fit into memory beside the blocks, as they come.

    Args:
        work: in what they are measured.
        designs: the distinct ones.
        room: bytes that are free; None: nobody knows, and nothing is refused.

    Raises:
        UserError: not even the blocks fit.
    """
    usable = math.inf if room is None else USABLE * room
    blocks = needed_of_blocks(kinds_of(designs), work)
    if blocks > usable:
        raise UserError(
            f"latency: {STACK} blocks of each kind at scale {work.scale.name} take {size(blocks)} in {work.mode}, and "
            f"{size(room or 0)} are free; lower latency.batch or latency.seq_len, or leave out the mode"
        )
    groups, left_out, taken = list[list[Layers]]([[]]), dict[Layers, str](), blocks
    for layers in designs:
        mine = needed(layers, work)
        if blocks + mine > usable:
            left_out[layers] = f"the whole needs {size(mine)} beside the blocks' {size(blocks)}, {size(room or 0)} free"
            continue
        if taken + mine > usable:
            groups.append([])
            taken = blocks
        groups[-1].append(layers)
        taken += mine
    return Plan(tuple(map(tuple, groups)), left_out)


def kinds_of(designs: Sequence[Layers]) -> tuple[str, ...]:
    """The kinds of layer that designs have, in the order of the registry."""
    found = {layer for layers in designs for layer in layers}
    return tuple(symbol for symbol in PRIMITIVES if symbol in found)


def measure(
    work: Workload,
    designs: Mapping[str, Layers],
    bounds: Bounds,
    tell: Callable[[float], None],
    clock: Clock | None = None,
) -> Found:
    """Measure blocks and designs in one mode.

    Args:
        work: the mode, and at which sizes.
        designs: by name. Those with the same layers are measured once.
        bounds: how often, and how long.
        tell: told the share that is done, from 0 to 1.
        clock: None: the device's.

    Raises:
        UserError: the blocks do not fit into memory, or a layer cannot be built, or cannot decode.
    """
    distinct = list(dict.fromkeys(designs.values()))
    planned = plan(work, distinct, free(work.device))
    clock = clock or (CudaClock() if work.device.type == "cuda" else WallClock())
    samples, graph = None, _can_be_graphs(work)
    if graph:
        with suppress(_Refused):
            samples = _measure_groups(work, planned, kinds_of(distinct), bounds, clock, tell, graph)
    if samples is None:  # sums of what is launched one by one would not compare with wholes that are one graph
        graph = False
        samples = _measure_groups(work, planned, kinds_of(distinct), bounds, clock, tell, graph)
    blocks = {name: spread(values) for name, values in samples.blocks.items()}
    return Found(
        tuple(_block_time(name, work, found) for name, found in blocks.items()),
        tuple(_design_time(name, layers, work, blocks, samples, planned) for name, layers in designs.items()),
        graph,
    )


def sum_of_blocks(layers: Layers, blocks: Mapping[str, float]) -> float:
    """Seconds of a design by its layer counts: of its blocks, and of embedding, norm and head once."""
    counts = Counter(layers)
    return math.fsum([*(number * blocks[kind] for kind, number in counts.items()), *(blocks[end] for end in ENDS)])


def _measure_groups(
    work: Workload, planned: Plan, kinds: Sequence[str], bounds: Bounds, clock: Clock, tell: Callable[[float], None],
    graph: bool,
) -> _Samples:  # fmt: skip
    """Measure all groups, with calls as graphs or as they are.

    Raises:
        _Refused: one cannot be a graph.
        UserError: they do not fit into memory.
    """
    samples = _Samples()
    for number, group in enumerate(planned.groups):

        def tell_part(done: float, total: float, before: int = number) -> None:
            tell((before + done / max(total, 1e-9)) / len(planned.groups))

        with refusal_in_words(work):
            _measure_group(work, kinds, group, bounds, clock, tell_part, graph, samples)
    return samples


def _measure_group(
    work: Workload, kinds: Sequence[str], group: Sequence[Layers], bounds: Bounds, clock: Clock,
    tell: Callable[[float, float], None], graph: bool, samples: _Samples,
) -> None:  # fmt: skip
    """Measure all blocks and a group of designs in the same rounds."""
    cases = {**{kind: work.blocks(kind, STACK) for kind in kinds}, **{end: work.end(end) for end in ENDS}}
    wholes = {f"the whole {number}": layers for number, layers in enumerate(group)}
    for case, layers in wholes.items():
        cases[case] = work.model(layers)
        if work.device.type == "cuda":
            samples.peaks[layers] = _peak(cases[case], work) + sum(held(layers, work))
    found = interleaved(_as_graphs(cases) if graph else cases, clock, bounds.repeats, bounds.seconds, tell)
    rounds = {
        name: {at: seconds / (STACK if name in kinds else 1) for at, seconds in found[name].items()}
        for name in (*kinds, *ENDS)
    }
    for name, values in rounds.items():
        samples.blocks.setdefault(name, []).extend(values.values())
    for case, layers in wholes.items():
        samples.wholes[layers] = list(found[case].values())
        samples.ratios[layers] = list(_ratios(layers, rounds, found[case]))


def _ratios(layers: Layers, blocks: Mapping[str, Mapping[int, float]], whole: Mapping[int, float]) -> Iterator[float]:
    """Sum by whole in each round in which all of it was measured; of cases with few samples, their medians."""
    mine = {name: samples for name, samples in blocks.items() if name in layers or name in ENDS}
    common = set(whole).intersection(*mine.values())
    for at in common:
        yield sum_of_blocks(layers, {name: samples[at] for name, samples in mine.items()}) / whole[at]
    if not common:
        yield sum_of_blocks(layers, {n: spread(samples).median for n, samples in mine.items()}) / spread(whole).median


def _can_be_graphs(work: Workload) -> bool:
    return work.device.type == "cuda" and work.mode != "train"


def _as_graphs(cases: dict[str, Call]) -> dict[str, Call]:
    try:
        return graphed(cases)
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        raise _Refused from error


def _peak(call: Call, work: Workload) -> int:
    """Bytes that one call takes beyond those that are held before it."""
    torch.cuda.synchronize(work.device)
    before = torch.cuda.memory_allocated(work.device)
    torch.cuda.reset_peak_memory_stats(work.device)
    call()
    torch.cuda.synchronize(work.device)
    return torch.cuda.max_memory_allocated(work.device) - before


def _block_time(name: str, work: Workload, found: Spread) -> BlockTime:
    return BlockTime(
        block=name, mode=work.mode, seconds=found.median, low=found.low, high=found.high, repeats=found.samples
    )


def _design_time(
    name: str, layers: Layers, work: Workload, blocks: Mapping[str, Spread], samples: _Samples, planned: Plan
) -> DesignTime:
    whole = spread(samples.wholes[layers]) if layers in samples.wholes else None
    ratio = spread(samples.ratios[layers]) if layers in samples.ratios else None
    memory = held(layers, work)
    return DesignTime(
        design=name,
        pattern=render(layers),
        mode=work.mode,
        sum_seconds=sum_of_blocks(layers, {block: found.median for block, found in blocks.items()}),
        whole_seconds=whole and whole.median,
        whole_low=whole and whole.low,
        whole_high=whole and whole.high,
        ratio=ratio and ratio.median,
        ratio_low=ratio and ratio.low,
        ratio_high=ratio and ratio.high,
        weights=memory.weights,
        key_values=memory.key_values,
        states=memory.states,
        peak=samples.peaks.get(layers),
        note=planned.left_out.get(layers, ""),
    )
