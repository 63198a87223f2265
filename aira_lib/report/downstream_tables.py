"""Tables of downstream scores: Tables 2, 3 and 7 of the paper from own runs, each with the printed numbers beside."""

from collections.abc import Callable, Sequence
from functools import partial
from statistics import stdev

from aira_lib.report.columns import Column, Row, Table
from aira_lib.report.comparison import Comparison
from aira_lib.report.downstream_compared import Design, MeasureFound, Scoreboard, centred_mean
from aira_lib.report.entries import Entry
from aira_lib.report.printed import SIX, Measure, Metric, Printed, TaskFacts
from aira_lib.significance.estimate import mean_of_items
from aira_lib.significance.seeds import averaged

OURS, PAPER = "this study", "the paper, 1B"
NAMES = {
    "hellaswag": "HellaSwag", "winogrande": "WinoGrande", "arc_e": "ARC-E", "piqa": "PIQA", "sciq": "SciQ",
    "arc_c": "ARC-C", "copa": "COPA", "coqa": "CoQA", "lambada": "LAMBADA", "openbookqa": "OpenBookQA",
    "xwinograd": "XWinograd", "agieval_lsat_ar": "LSAT-AR", "boolq": "BoolQ", "commonsenseqa": "CommonsenseQA",
    "squadv2": "SQuADv2",
}  # fmt: skip
METRIC = {"acc": "accuracy", "acc_norm": "normalized accuracy", "f1": "F1", "exact": "exact match"}
SHORT = {"acc": "acc", "acc_norm": "norm", "f1": "F1"}

PRINTED_MEANS = {"six_acc": "avg_acc", "six_acc_norm": "avg_norm", "core_14": "dclm_core"}

Part = tuple[TaskFacts, Metric]


def six_table(board: Scoreboard, found: Sequence[MeasureFound], comparison: Comparison) -> Table:
    """Tables 2 and 3: loss, the six tasks, their averages and core-14, with the paper's row under each design."""
    six = [each.measure for each in found if each.measure.tasks == SIX]
    parts = [part for part in _papers_order(six) if board.has(*part)]
    columns = [
        *_who(),
        Column("loss", "Loss", "nats a token", spec=".3f", spread="loss_sd"),
        *(_mean_column(each) for each in found),
        *(_task_column(task, metric) for task, metric in parts),
        *(_seeds_column(task, metric) for task, metric in parts),
    ]
    rows: list[Row] = []
    for design in board.designs:
        rows.append(_our_row(board, design, parts, found) | _loss(design, comparison))
        if design.printed:
            rows.append(_papers_row(design, design.printed, parts, six[0], found) | _printed_loss(design.printed))
    caption = (
        "Tables 2 and 3 of the paper from this study's runs, in percent: zero-shot accuracy (acc) and accuracy by "
        "likelihood a character (norm); ± is the standard error over items, of the mean over seeds, and of the loss "
        "the standard deviation over seeds. The paper's models are of 1B after 37.5 billion tokens: its scores are no "
        "aim for smaller ones, and only which design is better can be compared. " + means_sentence(found)
    )
    return Table("downstream_six", caption, columns, rows, group="design", marked="baseline")


def core_table(board: Scoreboard, found: MeasureFound) -> Table:
    """Table 7: the tasks of core-14 with their metrics and shots, their raw mean, and the mean counted from chance."""
    parts = [part for part in found.measure.parts if board.has(*part)]
    columns = [
        *_who(),
        _mean_column(found),
        Column("centred_v1", "Centred", "DCLM v1, %", spec=".1f", per=0.01),
        Column("centred_v2", "Centred", "DCLM v2, %", spec=".1f", per=0.01),
        *(_task_column(task, metric, shots=True) for task, metric in parts),
        *(_seeds_column(task, metric) for task, metric in parts),
    ]
    rows: list[Row] = []
    for design in board.designs:
        rows.append(_our_row(board, design, parts, [found]) | _centred(found, partial(_mean_score, board, design)))
        if design.printed:
            row = _papers_row(design, design.printed, parts, found.measure, [found])
            rows.append(row | _centred(found, partial(found.measure.printed, design.printed)))
    caption = (
        "Table 7 of the paper from this study's runs, in percent: each task with its own metric and shots, and the "
        "plain mean. These are 14 tasks and not DCLM's CORE, which has 22, other prompts, and centred scores: (score "
        "− baseline) / (1 − baseline). The centred means here take its baselines, before (v1) and after (v2) their "
        "correction. " + means_sentence([found])
    )
    return Table("core_14", caption, columns, rows, group="design", marked="baseline")


def _centred(found: MeasureFound, score: Callable[[TaskFacts, Metric], float]) -> Row:
    return {"centred_v1": centred_mean(found, score, 0), "centred_v2": centred_mean(found, score, 1)}


def _mean_score(board: Scoreboard, design: Design, task: TaskFacts, metric: Metric) -> float:
    return float(board.scores(design, (task.task, task.shots), metric).mean())


def means_sentence(found: Sequence[MeasureFound]) -> str:
    """What the means are over, where that is not all tasks."""
    said = []
    for each in found:
        if each.missing:
            names = ", ".join(NAMES[task] for task in each.missing)
            said.append(
                f"The mean of {each.measure.title} is over {len(each.among)} of {len(each.measure.parts)} tasks, "
                f"without {names}; that of the paper's models is then over the same tasks."
            )
    return " ".join(said)


def _who() -> list[Column]:
    return [
        Column("design", "Design", style="name"),
        Column("whose", "Of", style="name"),
        Column("seeds", "Seeds", spec="d"),
    ]


def _papers_order(six: Sequence[Measure]) -> list[Part]:
    """Columns as in Table 2: tasks by name, accuracy before normalized accuracy."""
    parts = [part for measure in six for part in measure.parts]
    return sorted(parts, key=lambda part: (part[0].task, part[1]))


def _key(task: TaskFacts, metric: Metric) -> str:
    return f"{task.task}_{metric}"


def _task_column(task: TaskFacts, metric: Metric, shots: bool = False) -> Column:
    unit = SHORT[metric] + (f", {task.shots} shots" if shots else "")
    key = _key(task, metric)
    return Column(key, NAMES[task.task], unit, spec=".1f", per=0.01, spread=f"{key}_stderr")


def _seeds_column(task: TaskFacts, metric: Metric) -> Column:
    return Column(f"{_key(task, metric)}_seeds_sd", "Over seeds", shown=False)


def sd_over_seeds(values: Sequence[float]) -> float | None:
    """Sample standard deviation; None of a single seed."""
    return stdev(values) if len(values) > 1 else None


def _mean_column(found: MeasureFound) -> Column:
    whole = not found.missing
    title = {"six_acc": "Mean acc", "six_acc_norm": "Mean norm", "core_14": "Core-14"}[found.measure.key]
    unit = "%" if whole else f"{len(found.among)} of {len(found.measure.parts)} tasks"
    key = found.measure.key
    return Column(key, title, unit, spec=".1f", per=0.01, spread=f"{key}_stderr")


def _our_row(board: Scoreboard, design: Design, parts: Sequence[Part], found: Sequence[MeasureFound]) -> Row:
    row: Row = {"design": design.label, "whose": OURS, "seeds": len(design.runs), "baseline": design.baseline}
    for task, metric in parts:
        scores, key = board.scores(design, (task.task, task.shots), metric), _key(task, metric)
        estimate = mean_of_items(averaged(scores))
        row |= {key: estimate.value, f"{key}_stderr": estimate.stderr}
        row[f"{key}_seeds_sd"] = sd_over_seeds(scores.mean(axis=1).tolist())
    for each in found:
        estimate = each.values[design.label]
        row |= {each.measure.key: estimate.value, f"{each.measure.key}_stderr": estimate.stderr}
    return row


def _papers_row(
    design: Design, model: Printed, parts: Sequence[Part], measure: Measure, found: Sequence[MeasureFound]
) -> Row:
    row: Row = {"design": design.label, "whose": PAPER, "seeds": model.seeds}
    row |= {_key(task, metric): measure.printed(model, task, metric) for task, metric in parts}
    for each in found:
        whole = model.share(PRINTED_MEANS[each.measure.key])
        row[each.measure.key] = each.measure.printed_mean(model, each.among).value if each.missing else whole
    return row


def _loss(design: Design, comparison: Comparison) -> Row:
    entry = _entry(design, comparison)
    return {"loss": entry.mean, "loss_sd": entry.sd} if entry else {}


def _entry(design: Design, comparison: Comparison) -> Entry | None:
    return next((entry for entry in comparison.entries if set(entry.names) & set(design.names)), None)


def _printed_loss(model: Printed) -> Row:
    loss, sd = model.loss
    return {"loss": loss, "loss_sd": sd}
