"""The ratio of attention to MLP layers that Table 8 prints."""

from collections.abc import Iterator, Mapping

from aira_lib.architecture.cost import count
from aira_lib.architecture.pattern import parse
from aira_lib.architecture.reference import designs
from aira_lib.architecture.tables import read_table
from aira_lib.verify.check import Check, Comparison, check, same
from aira_lib.verify.listed import explanation
from aira_lib.verify.steps import row_counts, row_name


def ratio_text(counts: Mapping[str, int] | float) -> str:
    """A ratio as the paper prints it: ``0.8:1``."""
    ratio = counts["A"] / counts["M"] if isinstance(counts, Mapping) else counts
    return f"{ratio:.1f}:1"


def a_to_m() -> Check:
    """A:M of every row of Table 8, by its printed pattern and by the counts of Table 10."""
    how = "to the printed decimal; where the paper contradicts itself, both may miss"
    return check("A:M ratios", "Tables 8 and 10", how, _comparisons())


def _comparisons() -> Iterator[Comparison]:
    table_10 = {row_name(row): row_counts(row) for row in read_table("steps") if row["table"] == "10"}
    for d in designs():
        if d.printed_a_to_m is not None:
            paper = ratio_text(d.printed_a_to_m)
            why = explanation("Table 8, A:M", d.name, paper)
            yield same("by the printed pattern", d.name, ratio_text(count(parse(d.printed))), paper, why)
            if d.name in table_10:
                yield same("by the counts of Table 10", d.name, ratio_text(table_10[d.name]), paper, why)
