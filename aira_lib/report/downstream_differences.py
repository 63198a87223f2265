"""Tables of differences to the baseline: of means over tasks, and of each task by itself."""

from collections.abc import Sequence

from aira_lib.report.columns import Column, Row, Table
from aira_lib.report.downstream_compared import Design, MeasureFound, Scoreboard
from aira_lib.report.downstream_tables import METRIC, NAMES, sd_over_seeds
from aira_lib.report.printed import NORMAL, Measure, measures
from aira_lib.significance.paired import paired
from aira_lib.significance.seeds import averaged
from aira_lib.significance.several import holm


def compared_table(board: Scoreboard, found: Sequence[MeasureFound]) -> Table:
    """Means over tasks of every design against the reference, and what the paper prints of the same pair."""
    rows = [_compared_row(board, each, design) for each in found for design in board.designs]
    columns = [
        Column("measure", "Mean of", style="name"),
        Column("design", "Design", style="name"),
        Column("value", "Score", "%", spec=".2f", per=0.01, spread="stderr"),
        Column("seeds_sd", "Over seeds", "sd, points", spec=".2f", per=0.01),
        Column("difference", "To baseline", "points, 95 %", spec="+.2f", per=0.01, spread="margin"),
        Column("margin_items", "Margin by items", shown=False),
        Column("simultaneous", "For all at once", "± points", spec=".2f", per=0.01),
        Column("p", "p", shown=False),
        Column("p_holm", "p", "by Holm", spec=".2g"),
        Column("verdict", "Verdict", style="text"),
        Column("paper_difference", "In the paper", "points, 95 %", spec="+.2f", per=0.01, spread="paper_margin"),
        Column("paper_verdict", "Of the paper's", style="text"),
    ]
    caption = (
        "Means over tasks, and differences to the baseline paired by item. ± of a score is its standard error over "
        "items; ± of a difference is the half-width of its 95 % interval, over items and, where designs have several "
        "seeds, over seeds as well. The verdict goes by p, which Holm's method corrects for the number of designs; the "
        "interval for all at once holds for whichever design is the best. The paper's differences are those of its "
        "printed tasks; as it prints no items, their interval is that of unpaired scores, wider than it need be, and "
        "without its seeds."
    )
    return Table("downstream_compared", caption, columns, rows, group="measure", marked="baseline")


def _compared_row(board: Scoreboard, found: MeasureFound, design: Design) -> Row:
    value, against = found.values[design.label], found.against.get(design.label)
    row: Row = {
        "measure": found.measure.title if not found.missing else f"{found.measure.title}, {len(found.among)} tasks",
        "design": design.label,
        "value": value.value,
        "stderr": value.stderr,
        "seeds_sd": sd_over_seeds(found.by_seed[design.label]),
        "baseline": design.baseline,
    }
    if against is None:
        return row | {"verdict": "reference" if design is board.reference else "no baseline to compare with"}
    row |= {
        "difference": against.whole.value,
        "margin": against.whole.margin,
        "margin_items": against.over_items.margin,
        "simultaneous": against.simultaneous,
        "p": against.whole.p,
        "p_holm": against.adjusted,
        "verdict": against.verdict,
    }
    return row | _paper_difference(board, found, design)


def _paper_difference(board: Scoreboard, found: MeasureFound, design: Design) -> Row:
    reference = board.reference.printed if board.reference else None
    if design.printed is None or reference is None:
        return {}
    one = found.measure.printed_mean(design.printed, found.among)
    difference, error = one.minus(found.measure.printed_mean(reference, found.among))
    beyond = abs(difference) > NORMAL * error
    return {
        "paper_difference": difference,
        "paper_margin": NORMAL * error,
        "paper_verdict": "larger than its error" if beyond else "within its error",
    }


def differences_table(board: Scoreboard) -> Table:
    """Every task by itself: each design's difference to the reference."""
    rows = [row for each in _task_metrics() for row in _task_rows(board, *each)]
    columns = [
        Column("task", "Task", style="name"),
        Column("shots", "Shots", spec="d"),
        Column("metric", "Metric", style="name"),
        Column("design", "Design", style="name"),
        Column("items", "Items", spec=",d"),
        Column("changed", "Of them differ", spec=",d"),
        Column("difference", "To baseline", "points, 95 %", spec="+.2f", per=0.01, spread="margin"),
        Column("p", "p", shown=False),
        Column("p_holm", "p", "by Holm", spec=".2g"),
        Column("paper_difference", "In the paper", "points, 95 %", spec="+.1f", per=0.01, spread="paper_margin"),
    ]
    caption = (
        "Differences to the baseline by task, paired by item, over items alone; p of single trainings is McNemar's "
        "exact one, and Holm's correction is for the designs of a task, not for the number of tasks. Where no item "
        "differs, items do not tell an interval."
    )
    empty = "No task was scored of a baseline and another design."
    return Table("downstream_differences", caption, columns, rows, empty, group="task")


def _task_metrics() -> list[tuple[Measure, int]]:
    """Every task and metric once: WinoGrande is in both sets."""
    seen: dict[tuple[str, int, str], tuple[Measure, int]] = {}
    for measure in measures():
        for place, (task, metric) in enumerate(measure.parts):
            seen.setdefault((task.task, task.shots, metric), (measure, place))
    return list(seen.values())


def _task_rows(board: Scoreboard, measure: Measure, place: int) -> list[Row]:
    task, metric = measure.parts[place]
    if board.reference is None or not board.has(task, metric):
        return []
    asked, rows = (task.task, task.shots), list[Row]()
    own = averaged(board.scores(board.reference, asked, metric))
    others = [design for design in board.designs if design is not board.reference]
    means = {design.label: averaged(board.scores(design, asked, metric)) for design in others}
    found = {label: paired(scores, own) for label, scores in means.items()}
    adjusted = holm({label: each.p for label, each in found.items()})
    for design in others:
        each = found[design.label]
        rows.append(
            {
                "task": NAMES[task.task],
                "shots": task.shots,
                "metric": METRIC[metric],
                "design": design.label,
                "items": len(own),
                "changed": int((means[design.label] != own).sum()),
                "difference": each.value,
                "margin": each.margin or None,  # where nothing differs, nothing says how much might
                "p": each.p,
                "p_holm": adjusted[design.label],
                **_paper_task(board, measure, place, design),
            }
        )
    return rows


def _paper_task(board: Scoreboard, measure: Measure, place: int, design: Design) -> Row:
    reference = board.reference.printed if board.reference else None
    if design.printed is None or reference is None:
        return {}
    among = [measure.parts[place][0].task]
    difference, error = measure.printed_mean(design.printed, among).minus(measure.printed_mean(reference, among))
    return {"paper_difference": difference, "paper_margin": NORMAL * error}
