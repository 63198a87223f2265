"""The equal-token comparison: which differences to the baseline are larger than chance explains.

With two or three seeds a design's own standard deviation is a poor estimate, so it is pooled over all designs. The
held-out documents are a sample as well: what it adds is seen document by document, since all designs are scored on the
same ones. A difference of two means counts when it leaves the 95 % interval of Student's t that both variances give
(degrees of freedom by Welch and Satterthwaite). It is not corrected for the number of comparisons, nor for picking the
best find by the loss that is then compared.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from aira_lib.records import ScaledDesign, Score, document_error
from aira_lib.report.entries import Entry, baseline_families, entries, family, pooled_deviation, reference_family
from aira_lib.scaling.noise import t95

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
        """Half-width of the 95 % interval of the difference; None when the spread over seeds is unknown."""
        if self.pooled_sd is None or self.reference is None or not entry.losses or not self.reference.losses:
            return None
        seeds = self.pooled_sd**2 * (1 / len(entry.losses) + 1 / len(self.reference.losses))
        text = (self.document_error(entry) or 0.0) ** 2
        return t95(self._degrees_of(entry, seeds, text)) * math.sqrt(seeds + text)

    def document_error(self, entry: Entry) -> float | None:
        """Standard error of the difference that the choice of documents makes; None in records that lack them."""
        own, other = entry.by_document, self.reference.by_document if self.reference else None
        if own is None or other is None or own[1] != other[1]:
            return None
        return document_error([a - b for a, b in zip(own[0], other[0], strict=True)], own[1])

    def _degrees_of(self, entry: Entry, seeds: float, text: float) -> float:
        """Welch and Satterthwaite: of the sum of two variances that are known by so many degrees each."""
        if not text or entry.by_document is None:
            return self.degrees
        return (seeds + text) ** 2 / (seeds**2 / self.degrees + text**2 / (len(entry.by_document[1]) - 1))

    @property
    def documents(self) -> int:
        """How many held-out documents the designs were scored on; 0: their records do not say."""
        return max((len(score.document_tokens) for entry in self.entries for score in entry.scores), default=0)

    @property
    def spread(self) -> str:
        """What the margins are made of, in words."""
        return "the spread over seeds and documents" if self.documents else "the spread over seeds"

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
    pooled, degrees = pooled_deviation(found) or (None, 0)
    return Comparison(tuple(found), baselines, reference, pooled, degrees)
