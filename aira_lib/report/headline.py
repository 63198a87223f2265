"""The few numbers that the page opens with, each with what it must not be read without."""

from aira_lib.report.blocks import KeyNumber
from aira_lib.report.columns import format_number
from aira_lib.report.comparison import Comparison
from aira_lib.report.inputs import ReportInputs
from aira_lib.report.results import label
from aira_lib.report.searches import measure
from aira_lib.report.tables import best_archive_rows


def key_numbers(inputs: ReportInputs, comparison: Comparison) -> list[KeyNumber]:
    """The best proxy fitness, the loss of the best pretrained find, and its difference to the baseline, where known."""
    found = []
    if row := next(iter(best_archive_rows(inputs.archive, 1)), None):
        designs = f"of {len(inputs.archive):,} distinct designs, by `{row.design}`"
        found.append(
            KeyNumber(f"best proxy {measure(row.lower_is_better)}, validation", f"{row.validation:.3f}", designs)
        )
    best = comparison.best(baseline=False)
    if best is None or best.mean is None:
        return found
    seeds = f"{len(best.losses)} seed{'s' * (len(best.losses) != 1)}"
    found.append(KeyNumber("held-out loss, nats a token", f"{best.mean:.3f}", f"the best find, {label(best)}, {seeds}"))
    difference = comparison.difference(best)
    if difference is not None and comparison.reference is not None:
        against = f"{comparison.verdict(best)}; the baseline is {label(comparison.reference)}"
        found.append(KeyNumber("difference to the baseline", format_number(difference, "+.3f"), against))
    return found
