"""The equal-token comparison: which differences to the baseline are larger than the spread over seeds explains.

With two or three seeds a design's own standard deviation is a poor estimate, so it is pooled over all designs. A
difference of two means counts when it leaves the 95 % interval of Student's t with the pooled degrees of freedom. It
is not corrected for the number of comparisons, nor for picking the best find by the loss that is then compared.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from aira_lib.records import ScaledDesign, Score
from aira_lib.report.entries import Entry, baseline_families, entries, family, reference_family

Verdict = Literal["reference", "lower", "higher", "within the spread", "spread unknown", "diverged", "no reference"]


@dataclass(frozen=True)
class Comparison:
    """Designs at equal tokens, lowest mean loss first, and the pooled spread over seeds.

    `baselines` are the families that are baselines; `reference` is the entry that differences are taken from.
    """

    entries: tuple[Entry, ...]
    baselines: frozenset[str]
    reference: Entry | None
    pooled_sd: float | None
    degrees: int

    def is_baseline(self, entry: Entry) -> bool:
        """Whether a design, or one with the very same layers, is a baseline."""
        return any(family(name) in self.baselines for name in entry.names)

    def best(self, baseline: bool) -> Entry | None:
        """The best of the baselines or of the finds."""
        chosen = (e for e in self.entries if self.is_baseline(e) == baseline and e.mean is not None)
        return next(chosen, None)

    def difference(self, entry: Entry) -> float | None:
        """Mean loss minus the reference's, in nats per token; negative is better."""
        if self.reference is None or entry.mean is None or self.reference.mean is None:
            return None
        return entry.mean - self.reference.mean

    def margin(self, entry: Entry) -> float | None:
        """Half-width of the 95 % interval of the difference; None when the spread is unknown."""
        if self.pooled_sd is None or self.reference is None or not entry.losses or not self.reference.losses:
            return None
        seeds = 1 / len(entry.losses) + 1 / len(self.reference.losses)
        return t95(self.degrees) * self.pooled_sd * math.sqrt(seeds)

    def verdict(self, entry: Entry) -> Verdict:
        """What may be said of a design against the reference."""
        if entry.mean is None:
            return "diverged"
        if entry is self.reference:
            return "reference"
        difference, margin = self.difference(entry), self.margin(entry)
        if difference is None:
            return "no reference"
        if margin is None:
            return "spread unknown"
        if abs(difference) <= margin:
            return "within the spread"
        return "lower" if difference < 0 else "higher"


def compare(scores: Iterable[Score], designs: Sequence[ScaledDesign], wanted: Sequence[str]) -> Comparison:
    """Compare all designs that were trained for equal tokens.

    Args:
        scores: of any protocol; only the equal-token ones count.
        designs: all designs, to know which are baselines.
        wanted: baselines in the study's order; the first that was trained is the reference.
    """
    found = entries(score for score in scores if score.point.protocol == "isotoken")
    found.sort(key=lambda e: (e.mean is None, e.mean or 0.0, e.design.name))
    baselines = frozenset(baseline_families([*designs, *(e.design for e in found)]))
    families = [family(name) for entry in found if entry.mean is not None for name in entry.names]
    name = reference_family(wanted, families, set(baselines))
    reference = next((e for e in found if name in [family(n) for n in e.names]), None)
    degrees = sum(max(len(e.losses) - 1, 0) for e in found)
    return Comparison(tuple(found), baselines, reference, _pooled(found, degrees), degrees)


def _pooled(found: Sequence[Entry], degrees: int) -> float | None:
    if degrees == 0:
        return None
    squares = math.fsum((len(e.losses) - 1) * e.sd**2 for e in found if e.sd is not None)
    return math.sqrt(squares / degrees)


def t95(degrees: int) -> float:
    """Two-sided 95 % quantile of Student's t.

    Raises:
        ValueError: fewer than one degree of freedom.
    """
    if degrees < 1:
        raise ValueError("Student's t needs at least one degree of freedom")
    from scipy.special import stdtrit  # late: most reports compare single seeds

    return float(stdtrit(degrees, 0.975))
