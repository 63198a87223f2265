"""Which numbers can be a score of a task at all, by its metadata, and what a score is on the benchmark's scale."""

import math

from aira_lib.tasks.airs.metadata import Metadata

_ROUNDING = 1e-6  # relative
_FARTHEST = 1_000.0  # distances from the optimum to the estimated worst score: that is an estimate
_PERFECT_ACCURACY = 0.999  # the benchmark's, in the place of 1: its scale has no end there
_MOST = 100.0


def beyond_optimum(score: float, metadata: Metadata) -> str:
    """Why a number is better than any score can be, by `optimal_score`; empty where it is not, or where none is known.

    Accuracies in percent are what most often is.
    """
    optimum = metadata.logging_info.optimal_score
    if optimum is None:
        return ""
    better = optimum - score if metadata.metric_lower_is_better else score - optimum
    if better <= _ROUNDING * max(1.0, abs(optimum)):
        return ""
    return f"{score:g} is better than a perfect {metadata.logging_info.metric}, {optimum:g} (optimal_score)"


def implausible(score: float, metadata: Metadata) -> str:
    """Why nobody can have measured a number: it is better than perfect, or worse than bad; empty where one can.

    Worse than bad is a thousand times as far from `optimal_score` as `estimated_worst_score` is.
    """
    if said := beyond_optimum(score, metadata):
        return said
    info = metadata.logging_info
    if info.optimal_score is None or info.estimated_worst_score is None:
        return ""
    span = _FARTHEST * abs(info.estimated_worst_score - info.optimal_score)
    if abs(score - info.optimal_score) <= span:
        return ""
    worst = f"{info.estimated_worst_score:g} (estimated_worst_score)"
    return f"{score:g} cannot have been measured as {info.metric}: the worst there is is about {worst}"


def normalised_score(score: float, metadata: Metadata) -> float | None:
    """AIRS-Bench's normalised score: 0 at the worst score, 1 at the published best; None where the scale is not known.

    (φ(s) - φ(worst)) / (φ(best) - φ(worst)) with φ(s) = -log10 |s - optimum|, not below 0, at most 100. The benchmark
    takes for the worst score the worst that any agent reached, which no single run knows: here it is
    `estimated_worst_score`. A perfect score of a metric of which more is better counts as 0.999, as in its notebook.
    """
    info = metadata.logging_info
    optimum, worst = info.optimal_score, info.estimated_worst_score
    if optimum is None or worst is None:
        return None
    lower = metadata.metric_lower_is_better
    best = (min if lower else max)(each.sota_score for each in info.sota)
    reached, low, high = (_march(each, optimum, lower) for each in (score, worst, best))
    if high == low:
        return None
    return min(max((reached - low) / (high - low), 0.0), _MOST)


def _march(score: float, optimum: float, lower_is_better: bool) -> float:
    distance = abs(score - optimum)
    if distance == 0 and not lower_is_better:
        distance = abs(_PERFECT_ACCURACY - optimum)
    return -math.log10(distance) if distance else math.inf
