"""The contradictions of the paper as data: what two of its places print.

``contradictions.csv`` holds those about designs, ``claims.csv`` all others.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from aira_lib.architecture.tables import read_table
from aira_lib.verify.steps import row_name


@dataclass(frozen=True)
class Contradiction:
    """Two places of the paper that disagree about `what`."""

    where: str
    what: str
    printed: str
    against: str


def listed() -> Iterator[Contradiction]:
    """The rows of both tables; a design is named as `aira_lib.architecture.reference` names it."""
    for row in read_table("contradictions"):
        name = row_name(row).removesuffix("@")
        yield Contradiction(row["where"], name, row["printed"], row["against"])
    for row in read_table("claims"):
        yield Contradiction(row["where"], row["what"], row["printed"], row["against"])


def explanation(where: str, what: str, printed: str) -> str | None:
    """What stands against a printed value, if the lists have it."""
    for c in listed():
        if (c.where, c.what, c.printed) == (where, what, printed):
            return f"{c.where}: {c.printed}, against {c.against}"
    return None
