"""Scores of the same design, brought together over seeds.

A point may have aliases: designs whose layers came out the very same at that scale and which were trained once. The
results are theirs too.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from aira_lib.records import ScaledDesign, Score


@dataclass(frozen=True)
class Entry:
    """All scores of one design under one budget.

    Attributes:
        design: the design that was trained.
        names: its name and those of the designs with the very same layers.
        losses: held-out losses in nats per token, one a seed that ended well.
        diverged: how many seeds did not.
        scores: everything that was measured.
    """

    design: ScaledDesign
    names: tuple[str, ...]
    losses: tuple[float, ...]
    diverged: int
    scores: tuple[Score, ...]

    @property
    def mean(self) -> float | None:
        """Mean loss over seeds; None when every seed diverged."""
        return mean(self.losses)

    @property
    def sd(self) -> float | None:
        """Sample standard deviation over seeds; None with fewer than two."""
        return deviation(self.losses)

    @property
    def by_document(self) -> tuple[tuple[float, ...], tuple[int, ...]] | None:
        """Summed losses of each held-out document, mean over seeds, and its tokens; None where a record lacks them."""
        ok = [score for score in self.scores if score.status == "ok"]
        tokens = {score.document_tokens for score in ok}
        if len(tokens) != 1 or not ok[0].document_tokens:
            return None
        sums = zip(*(score.document_sums for score in ok), strict=True)
        return tuple(math.fsum(each) / len(each) for each in sums), ok[0].document_tokens

    @property
    def bits_per_byte(self) -> float | None:
        """Mean over seeds."""
        return mean([s.bits_per_byte for s in self.scores if s.bits_per_byte is not None])


def entries(scores: Iterable[Score]) -> list[Entry]:
    """Group scores by design and budget, in order of first appearance."""
    groups: dict[tuple[str, float | None], list[Score]] = {}
    for score in scores:
        groups.setdefault((score.point.design.name, score.point.budget_flops), []).append(score)
    return [_entry(group) for group in groups.values()]


def _entry(scores: Sequence[Score]) -> Entry:
    ordered = tuple(sorted(scores, key=lambda score: score.point.seed))
    point = ordered[0].point
    losses = tuple(score.loss for score in ordered if score.status == "ok" and score.loss is not None)
    return Entry(point.design, (point.design.name, *point.aliases), losses, len(ordered) - len(losses), ordered)


def mean(values: Sequence[float]) -> float | None:
    """Arithmetic mean; None of nothing."""
    return math.fsum(values) / len(values) if values else None


def deviation(values: Sequence[float]) -> float | None:
    """Sample standard deviation (n - 1); None with fewer than two values."""
    middle = mean(values)
    if middle is None or len(values) < 2:
        return None
    return math.sqrt(math.fsum((value - middle) ** 2 for value in values) / (len(values) - 1))


def pooled_deviation(found: Sequence[Entry]) -> tuple[float, int] | None:
    """The standard deviation over seeds pooled over all entries, and its degrees of freedom; None without any."""
    degrees = sum(max(len(entry.losses) - 1, 0) for entry in found)
    if degrees == 0:
        return None
    squares = math.fsum((len(entry.losses) - 1) * entry.sd**2 for entry in found if entry.sd is not None)
    return math.sqrt(squares / degrees), degrees


def family(name: str) -> str:
    """A design's name without its scale: what stays the same from size to size."""
    return name.rpartition("@")[0] or name


def baseline_families(designs: Iterable[ScaledDesign]) -> set[str]:
    """Families that are baselines."""
    return {family(design.name) for design in designs if design.kind == "baseline"}


def reference_family(wanted: Sequence[str], present: Iterable[str], baselines: set[str]) -> str | None:
    """The baseline that differences are taken from: the first of the study's list that has results.

    Args:
        wanted: baselines in the study's order.
        present: families with results.
        baselines: families that are baselines.
    """
    available = [name for name in present if name in baselines]
    return next((name for name in wanted if name in available), available[0] if available else None)
