"""Scores to table rows: equal tokens with the spread over seeds, equal FLOPs with the fit of each budget."""

from collections.abc import Sequence

from aira_lib.architecture.pattern import parse
from aira_lib.report.columns import Column, Row, Table, prefix
from aira_lib.report.comparison import Comparison
from aira_lib.report.entries import Entry, family
from aira_lib.report.isoflop import BudgetFit, Frontier
from aira_lib.report.strips import Strip

VERDICTS = {
    "reference": "reference",
    "lower": "lower, beyond the spread",
    "higher": "higher, beyond the spread",
    "within the spread": "within the spread",
    "spread unknown": "one seed, spread unknown",
    "diverged": "diverged",
    "no reference": "no baseline to compare with",
}


def isotoken_table(comparison: Comparison) -> Table:
    """Designs at equal tokens, lowest loss first."""
    found = comparison.entries
    rows = [_isotoken_row(entry, comparison) for entry in found]
    per, letter = prefix([e.design.params_non_embedding for e in found], "B")
    flops, flops_letter = prefix([e.scores[0].point.flops for e in found])
    columns = [
        Column("design", "Design", style="name"),
        Column("layers", "Layers", style="strip"),
        Column("seeds", "Seeds", spec="d"),
        Column("loss_mean", "Loss", "nats a token", spec=".4f", spread="loss_sd"),
        Column("bits_per_byte", "Compression", "bits a byte", spec=".4f"),
        Column("difference", "To baseline", "nats a token", spec="+.4f"),
        Column("margin", "95 % margin", "± nats a token", spec=".4f"),
        Column("verdict", "Verdict", style="text"),
        Column("params_non_embedding", "Without embedding", f"{letter} parameters", spec=".3f", per=per),
        Column("params", "With embedding", f"{letter} parameters", shown=False),
        Column("tokens", "Tokens", shown=False),
        Column("flops", "Training", f"{flops_letter}FLOPs", spec=".2f", per=flops),
        Column("diverged", "Diverged", shown=False),
        Column("kind", "Kind", shown=False),
        Column("pattern", "Pattern", shown=False),
    ]
    caption = "Held-out loss at equal tokens, lowest first; mean ± standard deviation over seeds. Baselines are marked."
    empty = "No design was trained at equal tokens."
    return Table("isotoken", caption, columns, rows, empty, marked="baseline")


def _isotoken_row(entry: Entry, comparison: Comparison) -> Row:
    design, point = entry.design, entry.scores[0].point
    verdict = VERDICTS[comparison.verdict(entry)]
    if entry.diverged and entry.losses:
        verdict += f"; {entry.diverged} of {len(entry.scores)} seeds diverged"
    return {
        "design": label(entry),
        "layers": Strip(parse(design.pattern), mini=True),
        "seeds": len(entry.scores),
        "loss_mean": entry.mean,
        "loss_sd": entry.sd,
        "bits_per_byte": entry.bits_per_byte,
        "difference": None if entry is comparison.reference else comparison.difference(entry),
        "margin": None if entry is comparison.reference else comparison.margin(entry),
        "verdict": verdict,
        "params_non_embedding": design.params_non_embedding,
        "params": design.params_non_embedding + design.params_embedding,
        "tokens": point.tokens,
        "flops": point.flops,
        "diverged": entry.diverged,
        "kind": "baseline" if comparison.is_baseline(entry) else "find",
        "pattern": design.pattern,
        "baseline": comparison.is_baseline(entry),
    }


def label(entry: Entry) -> str:
    """A design's name without its scale, with the names of those that have the very same layers."""
    return " = ".join(dict.fromkeys(map(family, entry.names)))


def isoflop_points_table(found: Sequence[Frontier]) -> Table:
    """Every size of every design under every budget."""
    rows = [_point_row(f, fit, entry) for f in found for fit in f.fits for entry in fit.entries]
    per, letter = prefix([e.design.params_non_embedding for f in found for fit in f.fits for e in fit.entries], "B")
    columns = [
        Column("design", "Design", style="name"),
        Column("budget_flops", "Budget", "FLOPs", spec="x"),
        Column("scale", "Scale", style="name"),
        Column("params_non_embedding", "Without embedding", f"{letter} parameters", spec=".3f", per=per),
        Column("steps", "Steps", spec=",d"),
        Column("tokens", "Tokens", "tokens", spec=",d"),
        Column("budget_used", "Used", "% of budget", spec=".1f", per=0.01),
        Column("seeds", "Seeds", spec="d"),
        Column("loss_mean", "Loss", "nats a token", spec=".4f", spread="loss_sd"),
        Column("diverged", "Diverged", "seeds", spec="d"),
    ]
    return Table("isoflop_points", "Runs at equal FLOPs.", columns, rows, "Nothing was trained.", group="design")


def _point_row(frontier: Frontier, fit: BudgetFit, entry: Entry) -> Row:
    point = entry.scores[0].point
    return {
        "design": frontier.label,
        "budget_flops": fit.budget,
        "scale": entry.design.scale.name,
        "params_non_embedding": entry.design.params_non_embedding,
        "steps": point.steps,
        "tokens": point.tokens,
        "budget_used": point.flops / fit.budget,
        "seeds": len(entry.scores),
        "loss_mean": entry.mean,
        "loss_sd": entry.sd,
        "diverged": entry.diverged,
    }


def isoflop_fits_table(found: Sequence[Frontier]) -> Table:
    """The parabola of every design and budget and where its minimum lies."""
    rows = [_fit_row(frontier, fit) for frontier in found for fit in frontier.fits]
    per, letter = prefix([r["optimum_params"] for r in rows if isinstance(r["optimum_params"], float)], "B")
    columns = [
        Column("design", "Design", style="name"),
        Column("budget_flops", "Budget", "FLOPs", spec="x"),
        Column("points", "Sizes", spec="d"),
        Column("a", "Curvature", "nats a decade²", spec=".3f"),
        Column("b", "b", shown=False),
        Column("c", "c", shown=False),
        Column("minimum_params", "Fitted minimum", "parameters", shown=False),
        Column("minimum_loss", "Fitted loss", "nats a token", shown=False),
        Column("inside", "Inside", shown=False),
        Column("optimum_params", "Best size", f"{letter} parameters", spec=".3f", per=per),
        Column("optimum_loss", "Best loss", "nats a token", spec=".4f"),
        Column("note", "What it is", style="text"),
    ]
    caption = "Best size of every design under every budget; sizes are non-embedding parameters."
    return Table("isoflop_fits", caption, columns, rows, "No design was trained at equal FLOPs.", group="design")


def _fit_row(frontier: Frontier, fit: BudgetFit) -> Row:
    parabola, optimum = fit.parabola, fit.optimum
    return {
        "design": frontier.label,
        "budget_flops": fit.budget,
        "points": len(fit.measured),
        "a": parabola.a if parabola else None,
        "b": parabola.b if parabola else None,
        "c": parabola.c if parabola else None,
        "minimum_params": parabola.minimum_n if parabola else None,
        "minimum_loss": parabola.minimum_loss if parabola else None,
        "inside": parabola.inside if parabola else None,
        "optimum_params": optimum.n if optimum else None,
        "optimum_loss": optimum.loss if optimum else None,
        "note": fit_note(fit),
    }


def fit_note(fit: BudgetFit) -> str:
    """Where an optimum comes from, in words."""
    if fit.optimum is None:
        return "every run diverged"
    if fit.parabola is None:
        return "best measured: fewer than three sizes, no parabola"
    if fit.parabola.minimum_n is None:
        return "best measured: the parabola does not open upwards"
    if fit.profile.place != "inside":
        return f"best measured: minimum {fit.profile.place} the sizes"
    return "fitted minimum" + (", exact through three points" if fit.parabola.exact else "")
