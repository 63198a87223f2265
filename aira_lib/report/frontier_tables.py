"""Frontiers as tables: lines and their differences, differences by budget, and the law beside them."""

from collections.abc import Sequence

from aira_lib.report.columns import Column, Row, Table
from aira_lib.report.isoflop import Frontier
from aira_lib.scaling.frontier import Contrast, contrast, slope_margin
from aira_lib.scaling.law_margins import Estimate, LawFit, fit_designs, offset_over, optimal_exponent, slope_over
from aira_lib.scaling.noise import Noise
from aira_lib.scaling.refusal import too_few

NO_LINE = "no slope: too few minima within the sizes"


def contrasts(found: Sequence[Frontier], reference: Frontier | None, noise: Noise | None) -> dict[str, Contrast]:
    """By label, every design but the reference against it; empty without a reference."""
    if reference is None:
        return {}
    return {f.label: contrast(f.profiles, reference.profiles, noise) for f in found if f is not reference}


def frontier_table(
    found: Sequence[Frontier], reference: Frontier | None, compared: dict[str, Contrast], noise: Noise | None
) -> Table:
    """The line of every design's frontier, and how it differs from the reference's, with 95 % margins."""
    columns = [
        Column("design", "Design", style="name"),
        Column("budgets", "Budgets", spec="d"),
        Column("fitted", "Of them fitted", "minima", spec="d"),
        Column("slope", "Slope", "log₁₀ loss a decade", spec=".4f", spread="slope_margin"),
        Column("common", "Common budgets", spec="d"),
        Column("slope_difference", "Slope", "to baseline", spec="+.4f", spread="slope_difference_margin"),
        Column("offset", "Loss at the centre", "to baseline, %", spec="+.2f", per=0.01, spread="offset_margin"),
        Column("verdict", "Verdict on the slope", style="text"),
        Column("loss_at_largest", "At the largest budget", "nats a token", spec=".4f"),
        Column("refusal", "Why there is no slope", shown=False),
    ]
    rows = [_frontier_row(frontier, reference, compared.get(frontier.label), noise) for frontier in found]
    caption = (
        "Frontier: log₁₀ of the lowest loss against log₁₀ of the budget, a line by least squares through fitted minima "
        "alone, of which there must be three. Lower is better. Differences are those at the budgets where both designs "
        "have a minimum; the centre is the geometric mean of those. " + noise_sentence(noise)
    )
    return Table("frontier", caption, columns, rows, "No design was trained at equal FLOPs.", marked="baseline")


def noise_sentence(noise: Noise | None) -> str:
    """What the margins are made of."""
    if noise is None:
        return "No design has two seeds anywhere: the spread is unknown, and no difference is judged."
    sentence = (
        f"± is the 95 % margin: everything is fitted again to losses drawn with the standard deviation over seeds "
        f"({noise.sd:.4f} nats a token, {noise.degrees} degrees of freedom). It is not corrected for the number of "
        f"designs."
    )
    if noise.shared is None:
        return (
            f"{sentence} Runs of one trunk share some of it, and no size has several seeds under two budgets to tell "
            "how much: the wider of all and nothing stands."
        )
    return f"{sentence} Runs of one trunk share {noise.shared:.0%} of its square." if noise.shared else sentence


def _frontier_row(
    frontier: Frontier, reference: Frontier | None, compared: Contrast | None, noise: Noise | None
) -> Row:
    said = compared.verdict if compared else "reference" if frontier is reference else "no baseline to compare with"
    return {
        "design": frontier.label,
        "budgets": len(frontier.optima),
        "fitted": len(frontier.minima),
        "slope": frontier.line.slope if frontier.line else None,
        "slope_margin": slope_margin(frontier.profiles, noise),
        "common": compared.budgets if compared else None,
        "slope_difference": compared.slope if compared else None,
        "slope_difference_margin": compared.slope_margin if compared else None,
        "verdict": said if frontier.line else NO_LINE,
        "refusal": too_few(frontier.profiles),
        "offset": _share(compared.offset) if compared else None,
        "offset_margin": _share(compared.offset_margin) if compared else None,
        "loss_at_largest": frontier.optima[-1][1].loss if frontier.optima else None,
        "baseline": frontier.baseline,
    }


def differences_table(compared: dict[str, Contrast]) -> Table:
    """The lowest loss of every design under every budget that it has in common with the reference."""
    rows: list[Row] = [
        {
            "design": label,
            "budget_flops": each.budget,
            "difference": _share(each.difference),
            "difference_margin": _share(each.margin),
            "line": _share(made.at(each.budget)),
        }
        for label, made in compared.items()
        for each in made.apart
    ]
    columns = [
        Column("design", "Design", style="name"),
        Column("budget_flops", "Budget", "FLOPs", spec="x"),
        Column("difference", "Lowest loss", "to baseline, %", spec="+.2f", per=0.01, spread="difference_margin"),
        Column("line", "On the line", "to baseline, %", spec="+.2f", per=0.01),
    ]
    caption = "Lowest losses against the baseline's, at the budgets where both have a minimum within their sizes."
    empty = "No design and baseline have a minimum within their sizes under one budget."
    return Table("frontier_differences", caption, columns, rows, empty, group="design")


def laws_table(
    found: Sequence[Frontier], reference: Frontier | None, compared: dict[str, Contrast], noise: Noise | None
) -> Table:
    """The law of every design, and what it says of the same slopes and offsets."""
    fits = fit_designs({frontier.label: frontier.profiles for frontier in found}, noise)
    against = fits.get(reference.label) if reference else None
    rows = [_law_row(f, fits[f.label], against, compared.get(f.label)) for f in found]
    columns = [
        Column("design", "Design", style="name"),
        Column("floor", "E", "nats a token", spec=".3f", spread="floor_margin"),
        Column("size_factor", "A", shown=False),
        Column("data_factor", "B", shown=False),
        Column("size_exponent", "a", spec=".3f", spread="size_exponent_margin"),
        Column("data_exponent", "b", spec=".3f", spread="data_exponent_margin"),
        Column("optimal_exponent", "Best size grows as C to the", spec=".3f", spread="optimal_exponent_margin"),
        Column("slope", "Slope", "log₁₀ loss a decade", spec=".4f", spread="slope_margin"),
        Column("slope_difference", "Slope", "to baseline", spec="+.4f", spread="slope_difference_margin"),
        Column("offset", "Loss at the centre", "to baseline, %", spec="+.2f", per=0.01, spread="offset_margin"),
        Column("note", "What is missing", style="text"),
    ]
    caption = (
        "A second estimate: the law L = E + A / Nᵃ + B / Dᵇ, fitted to all sizes and budgets of a design at once (N "
        "non-embedding parameters, D tokens; variable projection). Slopes and offsets are of the same budgets; "
        "where the two tables disagree by more than their margins, one of the forms does not fit, and neither slope "
        "is to be trusted. The coefficients hold within the sizes and budgets that were trained, and are no forecast "
        "beyond them."
    )
    return Table("frontier_laws", caption, columns, rows, "No design was trained at equal FLOPs.", marked="baseline")


def _law_row(frontier: Frontier, fit: LawFit | str, reference: LawFit | str | None, compared: Contrast | None) -> Row:
    row: Row = {"design": frontier.label, "baseline": frontier.baseline, "note": fit if isinstance(fit, str) else ""}
    if isinstance(fit, str):
        return row
    row |= _estimated("floor", fit.estimate(lambda laws: laws.floor))
    row |= _estimated("size_exponent", fit.estimate(lambda laws: laws.size_exponent))
    row |= _estimated("data_exponent", fit.estimate(lambda laws: laws.data_exponent))
    row |= _estimated("optimal_exponent", fit.estimate(optimal_exponent))
    row |= {"size_factor": float(fit.measured.size_factor[0]), "data_factor": float(fit.measured.data_factor[0])}
    if row["optimal_exponent_margin"] is None and fit.drawn:
        row["note"] = "the points do not determine the law: without margins"
    if frontier.line is not None:
        row |= _estimated("slope", fit.estimate(slope_over(frontier.minima)))
    if compared is None or not isinstance(reference, LawFit):
        return row
    budgets = [each.budget for each in compared.apart]
    if compared.slope is not None:
        row |= _estimated("slope_difference", fit.difference(reference, slope_over(budgets)))
    if budgets:
        offset = fit.difference(reference, offset_over(budgets))
        row |= {"offset": _share(offset.value), "offset_margin": _share(offset.margin)}
    return row


def _estimated(key: str, found: Estimate) -> Row:
    return {key: found.value, f"{key}_margin": found.margin}


def _share(log10_ratio: float | None) -> float | None:
    """A ratio's excess over 1, of its logarithm."""
    return None if log10_ratio is None else float(10.0**log10_ratio - 1)
