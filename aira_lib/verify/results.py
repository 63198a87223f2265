"""Averages and relations between printed results: Tables 2, 3, 4 and 7."""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import product
from math import sqrt

from aira_lib.architecture.tables import read_table
from aira_lib.verify.check import Check, Comparison, check, same
from aira_lib.verify.listed import explanation

ACCURACY = ("arc_c_acc", "arc_e_acc", "hellaswag_acc", "piqa_acc", "sciq_acc", "winogrande_acc")
NORMALIZED = ("arc_c_norm", "arc_e_norm", "hellaswag_norm", "piqa_norm", "sciq_norm")
"""WinoGrande has no normalized accuracy; four rows of Table 3 nevertheless average it in."""
TOLERANCE = Fraction(1, 10)
"""Columns are rounded to 0.1, which moves a mean by 0.05 at most; the printed mean is rounded by 0.05 more."""
AGENTS_SCORED, AGENTS = 12, 20
"""Of the agents of Table 4, the greedy ones, and all with the one-shot ones, none of which scored."""


def mean(row: dict[str, str], columns: Sequence[str]) -> Fraction:
    """The exact mean of printed columns."""
    return sum((Fraction(row[column]) for column in columns), Fraction(0)) / len(columns)


def model_name(row: dict[str, str]) -> str:
    """A model of Tables 2, 3 and 7, all of which are 1B."""
    return f"{row['family']}{'/' if row['variant'] else ''}{row['variant']}@1B"


def averages() -> Check:
    """The averages that Tables 2, 3 and 7 print, from their own columns."""
    tasks = tuple(column for column in read_table("dclm_core")[0] if column not in ("family", "variant", "average"))

    def comparisons() -> Iterator[Comparison]:
        for row in read_table("isotoken"):
            name, table = model_name(row), f"Table {row['table']}"
            why = explanation(f"{table}, normalized average", name, row["avg_norm"])
            yield _close(f"{table}, accuracy", name, mean(row, ACCURACY), row["avg_acc"])
            yield _close(f"{table}, normalized accuracy", name, mean(row, NORMALIZED), row["avg_norm"], why)
        for row in read_table("dclm_core"):
            yield _close("Table 7, DCLM core", model_name(row), mean(row, tasks), row["average"])

    how = "within 0.1: half a digit for the columns' rounding and half for the average's own"
    return check("averages", "Tables 2, 3 and 7", how, comparisons())


def _close(group: str, name: str, ours: Fraction, paper: str, why: str | None = None) -> Comparison:
    agrees = abs(ours - Fraction(paper)) <= TOLERANCE
    return Comparison(group, f"{name}, {group}", f"{float(ours):.2f}", paper, agrees, why)


def core_scores() -> Check:
    """The DCLM core column of Tables 2 and 3 is the average of Table 7, model by model."""
    averages_7 = {model_name(row): row["average"] for row in read_table("dclm_core")}
    return check(
        "DCLM core columns",
        "Tables 2, 3 and 7",
        "equal as printed",
        (
            same(f"Table {row['table']}", model_name(row), averages_7.get(model_name(row), "none"), row["dclm_core"])
            for row in read_table("isotoken")
        ),
    )


def agent_means() -> Check:
    """Table 4: 8 agents without a score take the mean over 12 to 12/20, and its standard error along."""

    def comparisons() -> Iterator[Comparison]:
        for row in read_table("normalized_scores"):
            name = f"{row['task']} {row['setup']}"
            corners = list(product(_interval(row["greedy_mean"]), _interval(row["greedy_error"])))
            yield _within("means", name, [m * AGENTS_SCORED / AGENTS for m, _ in corners], row["all_mean"])
            yield _within("errors", name, [error_with_zeros(m, e) for m, e in corners], row["all_error"])

    how = "the printed digits overlap what the rounding of the greedy columns leaves open"
    return check("mean and error over agents", "Table 4", how, comparisons())


def error_with_zeros(mean_scored: float, error_scored: float) -> float:
    """Standard error of the mean over 20 agents, 8 of them 0, from mean and standard error over the 12 others."""
    n, total = AGENTS_SCORED, AGENTS
    squares = error_scored**2 * n * (n - 1) + n * mean_scored**2
    return sqrt((squares - total * (mean_scored * n / total) ** 2) / (total * (total - 1)))


def _interval(printed: str) -> tuple[float, float]:
    return float(printed) - 0.0005, float(printed) + 0.0005


def _within(group: str, name: str, ours: Sequence[float], paper: str) -> Comparison:
    low, high = _interval(paper)
    agrees = min(ours) <= high and max(ours) >= low
    return Comparison(group, f"{name}, {group}", f"{min(ours):.4f} to {max(ours):.4f}", paper, agrees)
