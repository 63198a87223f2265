"""Sizes of the search spaces, the shares that the agents tried, and the transform of scores on Long Range Arena."""

from collections.abc import Iterator
from decimal import Decimal
from math import log10

from aira_lib.architecture.tables import read_table
from aira_lib.verify.check import Check, Comparison, check, same


def search_spaces() -> Check:
    """Primitives ** layers designs, and the share of them that the agents tried."""

    def comparisons() -> Iterator[Comparison]:
        for row in read_table("search_spaces"):
            where = f"{row['primitives']} primitives, {row['layers']} layers"
            size, printed = int(row["primitives"]) ** int(row["layers"]), row["explored_percent"]
            decimals = -int(Decimal(printed).as_tuple().exponent)
            yield same("designs", where, str(size), row["size"])
            yield same("tried, percent", where, f"{100 * int(row['seen']) / size:.{decimals}f}", printed)

    how = "sizes exactly, shares to the digits given; the paper's text has lost both, its counts of designs stand"
    return check("search spaces", "section 6.1", how, comparisons())


def phi(score: float) -> float:
    """The march of nines of a score whose best is 1: -log10 |1 - score|."""
    return -log10(abs(1 - score))


def score_transforms() -> Check:
    """Phi of the scores of Table 14, and that no agent reaches the best published one.

    NS needs the worst score of any run, which the paper does not print.
    """

    def comparisons() -> Iterator[Comparison]:
        for row in read_table("lra_best"):
            where = f"{row['task']} {row['setup']}"
            yield same("phi of the best agent", where, f"{phi(float(row['score'])):.3f}", row["phi_score"])
            yield same("phi of the best published", where, f"{phi(float(row['sota'])):.3f}", row["phi_sota"])
            below = phi(float(row["score"])) < phi(float(row["sota"]))
            yield same("NS below 1", where, "below 1" if below else "1 or above", "below 1")

    how = "phi to three decimals, against values worked out from the printed scores; NS itself cannot be checked"
    return check("NS transforms", "Table 14, section 6.2", how, comparisons())
