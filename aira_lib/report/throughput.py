"""How fast was trained: tokens a second and the share of the device's peak, with their spread over runs."""

from collections.abc import Sequence

from aira_lib.records import TrainingRun
from aira_lib.report.columns import Column, Row, Table
from aira_lib.report.entries import deviation, family, mean


def throughput_table(runs: Sequence[TrainingRun]) -> Table:
    """A row a design, scale and way of computing, over budgets and seeds; runs that do not say their speed left out."""
    groups: dict[tuple[str, ...], list[TrainingRun]] = {}
    for run in runs:
        if run.tokens_per_second is not None:
            groups.setdefault((*_place(run), *_computed(run)), []).append(run)
    columns = [
        Column("design", "Design", style="name"),
        Column("scale", "Scale", style="name"),
        Column("runs", "Runs", spec="d"),
        Column("tokens_per_second", "Tokens", "a second", spec=",.0f", spread="tokens_per_second_sd"),
        Column("mfu", "MFU", "% of peak", spec=".1f", per=0.01, spread="mfu_sd"),
        Column("device", "Device", style="name"),
        Column("ranks", "Ranks", spec="d"),
        Column("precision", "Precision", style="name"),
        Column("kernels", "Kernels", style="name"),
        Column("trainer", "Trainer", style="name"),
    ]
    caption = (
        "Speed of training, of the process that finished each run; mean ± standard deviation over budgets and seeds. "
        "MFU counts the FLOPs that a model needs, output head included and causal attention halved, against the "
        "device's peak, where that is known. Runs that shared a machine slowed each other: this compares no designs."
    )
    rows = [_row(group) for _, group in sorted(groups.items())]
    return Table("throughput", caption, columns, rows, "No run says how fast it was.", group="design")


def _place(run: TrainingRun) -> tuple[str, str]:
    return family(run.point.design.name), run.point.design.scale.name


def _computed(run: TrainingRun) -> tuple[str, ...]:
    return tuple(str(each or "") for each in (run.device, run.precision, run.kernels, run.trainer, run.ranks))


def _row(group: Sequence[TrainingRun]) -> Row:
    speeds = [run.tokens_per_second for run in group if run.tokens_per_second is not None]
    shares = [run.mfu for run in group if run.mfu is not None]
    first = group[0]
    return {
        "design": family(first.point.design.name),
        "scale": first.point.design.scale.name,
        "runs": len(group),
        "tokens_per_second": mean(speeds),
        "tokens_per_second_sd": deviation(speeds),
        "mfu": mean(shares),
        "mfu_sd": deviation(shares),
        "device": first.device,
        "ranks": first.ranks,
        "precision": first.precision,
        "kernels": first.kernels,
        "trainer": first.trainer,
    }
