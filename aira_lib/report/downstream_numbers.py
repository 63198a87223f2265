"""The downstream numbers of a report by which runs of studies are compared in tracking."""

from collections.abc import Mapping


def downstream_numbers(headline: Mapping[str, object]) -> dict[str, float]:
    """Means of the best find over tasks, its differences to the baseline and their margins, shares from 0 to 1.

    Args:
        headline: of the report, see `summary.json`; without downstream scores there are none.
    """
    best = headline.get("best_downstream")
    found = best if isinstance(best, dict) else {}
    return {f"best_downstream_{name}": value for name, value in found.items() if isinstance(value, float)}
