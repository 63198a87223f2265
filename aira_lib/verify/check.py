"""What a check is: numbers of the paper beside our own computation of them.

A comparison that does not agree is a miss. It is explained by a contradiction of the paper that is listed for the very
value, or by an exception to a rule of ours that is listed with both values; a miss without an explanation fails the
check. Both values of the contradictions are a check of their own (`aira_lib.verify.contradictions`).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from aira_lib.architecture.tables import read_table


@dataclass(frozen=True)
class Comparison:
    """One number of the paper: `group` is the part of the check that it belongs to, such as "Table 10, 1B"."""

    group: str
    where: str
    ours: str
    paper: str
    agrees: bool
    explanation: str | None = None


@dataclass(frozen=True)
class Miss:
    """A number of ours that is not the paper's."""

    where: str
    ours: str
    paper: str
    explanation: str | None


@dataclass(frozen=True)
class Group:
    """How many numbers of one part of a check agree."""

    name: str
    total: int
    agreed: int


@dataclass(frozen=True)
class Check:
    """All comparisons of one kind. `how` says in which precision and with which tolerance they were made."""

    name: str
    source: str
    how: str
    groups: tuple[Group, ...]
    misses: tuple[Miss, ...]

    @property
    def total(self) -> int:
        """How many numbers of the paper were recomputed."""
        return sum(group.total for group in self.groups)

    @property
    def agreed(self) -> int:
        """How many of them are ours too."""
        return sum(group.agreed for group in self.groups)

    @property
    def failures(self) -> tuple[Miss, ...]:
        """The misses that nothing explains."""
        return tuple(miss for miss in self.misses if miss.explanation is None)

    @property
    def passed(self) -> bool:
        """Whether something was compared and every miss is explained."""
        return self.total > 0 and not self.failures


def same(group: str, where: str, ours: str, paper: str, explanation: str | None = None) -> Comparison:
    """Compare two numbers as they are printed: equal to the last printed digit."""
    return Comparison(group, where, ours, paper, ours == paper, explanation)


def check(name: str, source: str, how: str, comparisons: Iterable[Comparison]) -> Check:
    """Count comparisons by group, in their order, and keep the misses."""
    made = list(comparisons)
    by_group: dict[str, list[bool]] = {}
    for comparison in made:
        by_group.setdefault(comparison.group, []).append(comparison.agrees)
    groups = tuple(Group(group, len(agree), sum(agree)) for group, agree in by_group.items())
    misses = tuple(Miss(c.where, c.ours, c.paper, c.explanation) for c in made if not c.agrees)
    return Check(name, source, how, groups, misses)


def exception(check_name: str, where: str, ours: str, paper: str) -> str | None:
    """Why a recovered rule differs at one place, if exactly this difference is listed in ``exceptions.csv``."""
    listed = {(r["check"], r["where"], r["ours"], r["paper"]): r["why"] for r in read_table("exceptions")}
    return listed.get((check_name, where, ours, paper))


def counts_text(counts: Mapping[str, int], n_primitives: int = 3) -> str:
    """Layer counts as the tables of contradictions write them: ``A3 M13 Mb12``, at two primitives ``A9 M18``."""
    return " ".join(f"{p}{counts[p]}" for p in ("A", "M", "Mb")[:n_primitives])
