"""What the paper's own core-14 is worth by the numbers of its items."""

from aira_lib.report.columns import Column, Row, Table
from aira_lib.report.printed import NORMAL, measures, printed, printed_models


def paper_core_table(reference: str) -> Table:
    """The paper's core-14, model by model, with what the items alone leave of its differences.

    Args:
        reference: the model that differences are taken from.
    """
    core, against = measures()[-1], printed([reference])
    assert against is not None
    every = [task.task for task, _ in core.parts]
    base = core.printed_mean(against, every)
    rows: list[Row] = []
    for model in sorted(printed_models(), key=lambda m: -core.printed_mean(m, every).value):
        mean = core.printed_mean(model, every)
        row: Row = {"design": model.name, "printed": model.share("dclm_core"), "stderr": mean.stderr}
        if model.name != against.name:
            difference, error = mean.minus(base)
            beyond = abs(difference) > NORMAL * error
            row |= {"difference": difference, "margin": NORMAL * error}
            row["verdict"] = "larger than its error" if beyond else "within its error"
        rows.append(row | {"seeds_sd": model.share("dclm_core_std"), "baseline": model.name == against.name})
    columns = [
        Column("design", "Model of the paper", style="name"),
        Column("printed", "Core-14", "printed, %", spec=".1f", per=0.01, spread="stderr"),
        Column("seeds_sd", "Over seeds", "printed sd, points", spec=".1f", per=0.01),
        Column("difference", f"To {against.name}", "points, 95 %", spec="+.1f", per=0.01, spread="margin"),
        Column("verdict", "Difference", style="text"),
    ]
    caption = (
        "The paper's own core-14 (Table 7) with the error that its 14 tasks have by their numbers of items alone: ± is "
        "the standard error, and of a difference the half-width of the 95 % interval, unpaired and without seeds."
    )
    return Table("paper_core_14", caption, columns, rows, marked="baseline")


def paper_core_sentence() -> str:
    """How many of the paper's differences in core-14 are larger than their error."""
    core, models = measures()[-1], printed_models()
    means = [core.printed_mean(model, [task.task for task, _ in core.parts]) for model in models]
    pairs = [one.minus(other) for place, one in enumerate(means) for other in means[:place]]
    errors = sorted(error for _, error in pairs)
    beyond = sum(abs(difference) > NORMAL * error for difference, error in pairs)
    alone = sorted(mean.stderr for mean in means)[len(means) // 2]
    least = errors[len(errors) // 2]
    return (
        f"By their items alone core-14 of one of the paper's models has a standard error of {100 * alone:.2f} points, "
        f"and the difference of two {100 * least:.2f}, unpaired; of the {len(pairs)} differences between its "
        f"{len(models)} models {beyond} are larger than 1.96 times theirs, which is {100 * NORMAL * least:.1f} points. "
        "Its best designs lie 0.2 to 0.4 points apart."
    )
