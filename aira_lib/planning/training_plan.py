"""Training plans as data: the paper's runs at equal tokens and at equal FLOPs, or those of a study, and their cost.

FLOPs follow the paper's convention (`aira_lib.architecture.cost`): no output head, no embedding. GPU hours are FLOPs
over a share (MFU) of an H100's dense bf16 peak; the paper states neither its MFU nor its hours.
"""

import csv
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from aira_lib.architecture.cost import count, flops_per_token, steps_for_budget
from aira_lib.architecture.pattern import render
from aira_lib.architecture.primitives import PRIMITIVES
from aira_lib.architecture.reference import design
from aira_lib.architecture.scales import scale_named
from aira_lib.architecture.tables import read_table
from aira_lib.errors import UserError, writing
from aira_lib.flow.checks import need_designs
from aira_lib.flow.finished import finished_units, known_points
from aira_lib.flow.scales import baseline_points
from aira_lib.flow.stage import POINTS
from aira_lib.flow.units import units_of
from aira_lib.naming import exact
from aira_lib.records import PretrainPoint
from aira_lib.settings import Settings
from aira_lib.store import open_store, place_of
from aira_lib.study import Study
from aira_lib.verify.results import model_name
from aira_lib.verify.steps import BUDGETS, CONVENTIONS, row_counts, row_name

H100_PEAK_FLOPS = 989e12
"""Dense bf16 FLOP/s of an H100 SXM, by its data sheet."""


@dataclass(frozen=True)
class PlannedRun:
    """One training run. `pattern` is empty where only the counts are known.

    `steps` are of the whole run, `tokens` and `flops` what it spends itself: of a branch, without those of its trunk.

    `counts` are layers by primitive, as of `aira_lib.architecture.cost.count`.
    """

    protocol: str
    source: str
    design: str
    scale: str
    seed: int
    budget_flops: float | None
    counts: dict[str, int]
    steps: int
    tokens: int
    flops_per_token: int
    flops: float
    gpu_hours: float
    pattern: str
    note: str


def gpu_hours(flops: float, mfu: float) -> float:
    """Hours of one H100 at a share `mfu` of its peak."""
    return flops / (mfu * H100_PEAK_FLOPS) / 3600


def paper_plan(mfu: float) -> list[PlannedRun]:
    """All runs of the paper: 39 at equal tokens (Tables 2 and 3), 285 at equal FLOPs (Tables 10 and 11).

    Table 2 averages three seeds, Table 3 has one; the paper gives no seeds for equal FLOPs: one is assumed.
    """
    return [*isotoken_runs(mfu), *isoflop_runs(mfu)]


def isotoken_runs(mfu: float) -> Iterator[PlannedRun]:
    """The 9 models of Table 2 with 3 seeds and the 12 of Table 3 with one, all 1B, for 71,565 steps."""
    steps = next(int(row["value"]) for row in read_table("training") if row["name"] == "isotoken_steps")
    for row in read_table("isotoken"):
        name = model_name(row)
        found = design(name)
        counts = count(found.layers)
        for seed in range(int(row["seeds"])):
            yield _run(
                mfu, protocol="isotoken", source=f"Table {row['table']}", name=name, counts=counts, steps=steps,
                seed=seed, budget=None, n_primitives=found.n_primitives,
            )  # fmt: skip


def isoflop_runs(mfu: float) -> Iterator[PlannedRun]:
    """Every row and budget of Tables 10 and 11, with the layer counts and the rounding of the table itself."""
    for row in read_table("steps"):
        name, counts = row_name(row), row_counts(row)
        layers = [primitive for primitive, n in counts.items() for _ in range(n)]
        n_primitives = 2 if row["table"] == "10" else 3
        for text in BUDGETS:
            scale, budget = scale_named(row["scale"], n_primitives), float(text)
            steps = steps_for_budget(budget, layers, scale, CONVENTIONS[row["rounding"]])
            yield _run(
                mfu, protocol="isoflop", source=f"Table {row['table']}", name=name, counts=counts, steps=steps,
                seed=0, budget=budget, n_primitives=n_primitives,
            )  # fmt: skip


def _run(
    mfu: float, *, protocol: str, source: str, name: str, counts: dict[str, int], steps: int, seed: int,
    budget: float | None, n_primitives: int,
) -> PlannedRun:  # fmt: skip
    found = design(name)
    scale = scale_named(found.scale or "", n_primitives)
    per_token = flops_per_token([p for p, n in counts.items() for _ in range(n)], scale)
    tokens = steps * scale.tokens_per_step
    own = count(found.layers)
    differs = f"{found.source} gives {' '.join(f'{p}{n}' for p, n in own.items())}" if own != counts else ""
    return PlannedRun(
        protocol=protocol, source=source, design=name, scale=scale.name, seed=seed, budget_flops=budget, counts=counts,
        steps=steps, tokens=tokens, flops_per_token=per_token, flops=float(tokens * per_token),
        gpu_hours=gpu_hours(tokens * per_token, mfu), pattern="" if differs else render(found.layers), note=differs,
    )  # fmt: skip


def study_plan(study: Study, settings: Settings, mfu: float) -> tuple[list[PlannedRun], str]:
    """The runs of a study, and what is still unknown: before its search, only the baselines are.

    Raises:
        UserError: the study's task has no designs.
    """
    need_designs(study)
    if finished_units(study, settings, units_of(POINTS, study)):
        return [_of_point(point, mfu) for point in known_points(study, settings)], ""
    finds = len(study.aggregate) * len(study.pretrain.methods)
    unknown = (
        f"The finds are not known yet: up to {finds} more designs at each scale once `aira extrapolate` is done "
        f"in {place_of(open_store(settings.store).uri)}."
    )
    return [_of_point(point, mfu) for point in baseline_points(study)], unknown


def _of_point(point: PretrainPoint, mfu: float) -> PlannedRun:
    made = point.design
    notes = [f"the same layers as {', '.join(point.aliases)}"] if point.aliases else []
    notes += [f"branches from {point.trunk} at step {point.branch_step}"] if point.trunk else []
    return PlannedRun(
        protocol=point.protocol, source=made.kind, design=made.name, scale=made.scale.name, seed=point.seed,
        budget_flops=point.budget_flops, counts=made.counts,
        steps=point.steps, tokens=point.tokens_trained, flops_per_token=made.flops_per_token, flops=point.flops_trained,
        gpu_hours=gpu_hours(point.flops_trained, mfu), pattern=made.pattern, note="; ".join(notes),
    )  # fmt: skip


def show_plans(console: Console, name: str, runs: Sequence[PlannedRun], mfu: float, unknown: str = "") -> None:
    """Print totals for every protocol, source, scale and budget."""
    title = f"[bold]Training plan of {name}[/] · {len(runs)} runs"
    table = Table(title=title, title_justify="left", title_style="", box=SIMPLE_HEAD, pad_edge=False)
    columns = ("protocol", "source", "scale", "budget", "designs", "runs", "steps", "tokens", "FLOPs", "GPU hours")
    for column in columns:
        table.add_column(column, justify="left" if column in columns[:4] else "right", overflow="fold")
    groups: dict[tuple[str, str, str, str], list[PlannedRun]] = {}
    for run in runs:
        budget = exact(run.budget_flops) if run.budget_flops else "all" if run.protocol == "trunk" else "tokens"
        groups.setdefault((run.protocol, run.source, run.scale, budget), []).append(run)
    for key, group in groups.items():
        table.add_row(*key, *_totals(group))
    for protocol in dict.fromkeys(run.protocol for run in runs):
        table.add_section()
        table.add_row(f"all {protocol}", "", "", "", *_totals([r for r in runs if r.protocol == protocol]))
    table.add_row("all", "", "", "", *_totals(runs), style="bold")
    console.print(table)
    for line in (unknown, *_assumptions(mfu)):
        if line:
            console.print(line, soft_wrap=True)


def _totals(runs: Sequence[PlannedRun]) -> tuple[str, ...]:
    low, high = min((r.steps for r in runs), default=0), max((r.steps for r in runs), default=0)
    steps = f"{low:,}" if low == high else f"{low:,} to {high:,}"
    designs = str(len({r.design for r in runs}))
    tokens, flops, hours = sum(r.tokens for r in runs), sum(r.flops for r in runs), sum(r.gpu_hours for r in runs)
    shown = f"{hours:,.0f}" if hours >= 10 else f"{hours:.2g}"
    return designs, str(len(runs)), steps, f"{tokens:.3g}", f"{flops:.3g}", shown


def _assumptions(mfu: float) -> tuple[str, ...]:
    return (
        f"GPU hours: one H100 at {mfu:.0%} of {H100_PEAK_FLOPS / 1e12:.0f} TFLOP/s (dense bf16); estimated, "
        "--mfu sets the share. FLOPs without the output head, as the paper counts them.",
    )


def plan_table(runs: Sequence[PlannedRun]) -> tuple[list[str], list[list[Any]]]:
    """Columns and rows; those of layers are of the paper's primitives, and of others that any run has."""
    primitives = PRIMITIVES.known(symbol for run in runs for symbol in run.counts)
    columns = [name for f in fields(PlannedRun) for name in (primitives if f.name == "counts" else (f.name,))]
    return columns, [[run.counts.get(c, 0) if c in primitives else getattr(run, c) for c in columns] for run in runs]


def export_plan(runs: Sequence[PlannedRun], path: Path) -> None:
    """Write all runs, a row each, as CSV or JSON by the file's ending; a column each for the primitives' layers.

    Raises:
        UserError: another ending, or a file that cannot be written.
    """
    if path.suffix not in (".csv", ".json"):
        raise UserError(f"--export {path}: name a file that ends in .csv or .json")
    columns, rows = plan_table(runs)
    with writing(f"--export {path}"), open(path, "w", encoding="utf-8", newline="") as file:
        if path.suffix == ".json":
            json.dump([dict(zip(columns, row, strict=True)) for row in rows], file, indent=1, ensure_ascii=False)
            file.write("\n")
        else:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(columns)
            writer.writerows(rows)


def plan_paper(console: Console, mfu: float, export: Path | None) -> None:
    """Print, and export, the paper's plan."""
    runs = paper_plan(mfu)
    show_plans(console, "the paper", runs, mfu)
    noted = sum(bool(run.note) for run in runs)
    console.print(
        f"{noted} runs at equal FLOPs have the layer counts of Tables 10 and 11 where the design's own table prints "
        "others; the exported rows say so. One seed each is assumed there; the paper states none.",
        soft_wrap=True,
    )
    _export(console, runs, export)


def plan_study(console: Console, study: Study, settings: Settings, mfu: float, export: Path | None) -> None:
    """Print, and export, a study's plan."""
    runs, unknown = study_plan(study, settings, mfu)
    show_plans(console, f"study {study.name}", runs, mfu, unknown)
    _export(console, runs, export)


def _export(console: Console, runs: Sequence[PlannedRun], path: Path | None) -> None:
    if path:
        export_plan(runs, path)
        console.print(f"{path}: {len(runs)} runs", soft_wrap=True)
