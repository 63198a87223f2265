"""The contradictions between results and text that the tables carried here can show, in the words of ``claims.csv``."""

from collections.abc import Iterator
from fractions import Fraction

from aira_lib.architecture.tables import read_table
from aira_lib.verify.results import NORMALIZED, TOLERANCE, mean, model_name
from aira_lib.verify.steps import CONVENTIONS, step_comparisons

Claim = tuple[str, str, str, str]
"""Where, what, printed, against."""


def claims_found() -> Iterator[Claim]:
    """Every one that the tables show."""
    yield from _normalized_averages()
    yield from _finds_against_composer()
    for task, before, after in _configurable_rises():
        text = f"{task} rises from {before} to {after}"
        yield "Section 6.2.1 and Table 4", "the configurable setup lowers NS", "in all tasks", text
    for row in read_table("dclm_core"):
        if row["boolq"] != "37.9":
            yield "Appendix C and Table 7", "BoolQ", "37.9 for all", f"{row['family']} has {row['boolq']}"
    by_table = {table: _convention_of(table) for table in ("10", "11")}
    if len(set(by_table.values())) > 1:
        first, second = (f"Table {table}: {convention}" for table, convention in by_table.items())
        yield "Tables 10 and 11", "how steps are rounded", first, second


def _normalized_averages() -> Iterator[Claim]:
    """Rows of Table 3 that average six tasks where the others average five."""
    rows = [row for row in read_table("isotoken") if row["table"] == "3"]
    where, odd = "Table 3, normalized average", 0
    for row in rows:
        five = mean(row, NORMALIZED)
        six = mean(row, (*NORMALIZED, "winogrande_acc"))
        printed = Fraction(row["avg_norm"])
        if abs(five - printed) > TOLERANCE >= abs(six - printed):
            odd += 1
            yield where, model_name(row), row["avg_norm"], f"{float(five):.2f} over its five columns"
    if odd:
        text = f"five tasks in {len(rows) - odd} rows (and all of Table 2)"
        yield where, "what is averaged", text, f"six with WinoGrande in {odd} rows"


def _finds_against_composer() -> Iterator[Claim]:
    rows = {model_name(row): row for row in read_table("isotoken") if row["table"] == "3"}
    composer = rows["Composer@1B"]
    finds = [row for row in rows.values() if row["family"].startswith("AIRAhybrid")]

    def better(column: str, sign: int = 1) -> int:
        return sum(sign * float(row[column]) > sign * float(composer[column]) for row in finds)

    wins = {"loss": better("val_loss", -1), "accuracy": better("avg_acc"), "DCLM core": better("dclm_core")}
    if min(wins.values()) < len(finds):
        text = ", ".join(f"{metric} {n} of {len(finds)}" for metric, n in wins.items())
        claimed = "consistently in all three metrics"
        yield "Abstract, section 1 and Table 3", "AIRAhybrids beat the Composer find", claimed, text


def _configurable_rises() -> Iterator[tuple[str, str, str]]:
    """Tasks whose greedy NS is higher in the configurable setup."""
    means = {(row["task"], row["setup"]): row["greedy_mean"] for row in read_table("normalized_scores")}
    for (task, setup), mean_score in means.items():
        fixed = means[task, "non-configurable"]
        if setup == "configurable" and float(mean_score) > float(fixed):
            yield task, fixed, mean_score


def _convention_of(table: str) -> str:
    """The convention of rounding that gives most steps of a table."""

    def agreed(convention: str) -> int:
        return sum(c.agrees for c in step_comparisons(table, CONVENTIONS[convention]))

    return max(CONVENTIONS, key=agreed)
