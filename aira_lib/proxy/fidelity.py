"""How far a cheap score can be trusted: a proxy against a larger one, and a training's beginning against its end.

Designs that fail in either are left out and counted. Designs are the independent units of all intervals.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from aira_lib.proxy.correlation import RankCorrelation, average_ranks, rank_correlation
from aira_lib.proxy.stopping import replay, saved, whole
from aira_lib.records import Evaluation, Row, StandIn
from aira_lib.study import ProxySection

MEAN = "mean over tasks"
Side = Literal["small", "large"]
SIDES: tuple[Side, Side] = ("small", "large")
_ORDERS = 100  # in which designs may have come


class Compared(Row):
    """One design: its validation fitness by task, mean over seeds, in the small and in the large proxy."""

    design: str
    small: dict[str, float]
    large: dict[str, float]


class RungFidelity(Row):
    """How well validation after some epochs ranks designs as validation at the end does."""

    epoch: int
    correlation: RankCorrelation


class RuleFidelity(Row):
    """What a rule would have done, mean over the orders in which designs may come.

    `saved` is the share of optimizer steps, `best_stopped` how often the best design was stopped, and `regret` how much
    worse the best design is that was not.
    """

    rule: str
    eta: int
    margin: float
    stopped: float
    saved: float
    best_stopped: float
    regret: float


class StoppingFidelity(Row):
    """What stopping early would do to trainings that were not stopped."""

    designs: int
    failed: int
    epochs: int
    rungs: tuple[RungFidelity, ...]
    rules: tuple[RuleFidelity, ...]
    stand_ins: tuple[StandIn, ...] = ()


class Fidelity(Row):
    """A proxy against a larger or longer one. `regret`: how much better the large one's best is than the small one's.

    `correlations` is by task, of those that both have, and for the mean over each proxy's own tasks. `directions` of
    the small and the large proxy are 1 where higher is better, -1 where lower is.
    """

    small: str
    large: str
    small_seeds: tuple[int, ...]
    large_seeds: tuple[int, ...]
    ranked_by: str
    failed: int
    designs: tuple[Compared, ...]
    correlations: dict[str, RankCorrelation]
    regret: float | None
    steps_ratio: float
    directions: tuple[int, int] = (1, 1)
    stopping: StoppingFidelity | None = None
    stand_ins: tuple[StandIn, ...] = ()


class FidelityTogether(Row):
    """A proxy on several data sets, by data set, and for the mean of a design's ranks over them."""

    data_sets: dict[str, Fidelity]
    together: RankCorrelation


def together(data_sets: Mapping[str, Fidelity]) -> FidelityTogether:
    """Combine data sets by ranks, which need no common unit; designs that fail in one are left out.

    Raises:
        ValueError: less than two designs are scored in all.
    """
    scored = [{each.design for each in found.designs} for found in data_sets.values()]
    common = sorted(set.intersection(*scored))
    if len(common) < 2:
        raise ValueError("less than two designs are scored in all data sets")
    small, large = (
        np.mean([goodness_ranks(found, side, MEAN, common) for found in data_sets.values()], axis=0) for side in SIDES
    )
    return FidelityTogether(data_sets=dict(data_sets), together=rank_correlation(small, large))


def goodness_ranks(found: Fidelity, side: Side, task: str, designs: Sequence[str]) -> NDArray[np.float64]:
    """Ranks of designs by a task, 1 the best, in one of the two proxies."""
    scores = {each.design: getattr(each, side)[task] for each in found.designs}
    sign = found.directions[0 if side == "small" else 1]
    return average_ranks(np.array([sign * scores[design] for design in designs]))


def by_task(evaluations: Sequence[Evaluation]) -> dict[str, float] | None:
    """Validation by task and their mean, over the seeds of one design; None where one failed."""
    if any(e.status != "ok" or e.validation is None or e.stopped_at is not None for e in evaluations):
        return None
    rows = [{**e.validation_by_task, MEAN: e.validation or 0.0} for e in evaluations]
    return {task: float(np.mean([row[task] for row in rows])) for task in rows[0]}


def correlations(designs: Sequence[Compared], directions: tuple[int, int] = (1, 1)) -> dict[str, RankCorrelation]:
    """Rank correlations of each task that both proxies have, and of the means.

    Args:
        designs: all with the same tasks.
        directions: of the small and of the large proxy: 1 where higher is better, -1 where lower is.
    """
    if not designs:
        return {}
    first = designs[0]
    return {
        task: rank_correlation(
            np.array([directions[0] * each.small[task] for each in designs]),
            np.array([directions[1] * each.large[task] for each in designs]),
        )
        for task in first.small
        if task in first.large
    }


def compare(
    names: Sequence[str], small: Sequence[Sequence[Evaluation]], large: Sequence[Sequence[Evaluation]]
) -> list[Compared]:
    """Designs that both proxies scored; `small` and `large` are by design and seed, in the order of the names."""
    scores = [(name, by_task(a), by_task(b)) for name, a, b in zip(names, small, large, strict=True)]
    return [Compared(design=name, small=a, large=b) for name, a, b in scores if a and b]


def regret(small: Mapping[str, float], large: Mapping[str, float]) -> float | None:
    """What is lost by taking the small proxy's best design: goodness by design, the larger the better."""
    if not small:
        return None
    return max(large.values()) - large[max(small, key=lambda design: small[design])]


def stopping_fidelity(evaluations: Sequence[Evaluation], section: ProxySection, seed: int = 0) -> StoppingFidelity:
    """Replay the rules on whole trainings with their curves.

    Args:
        evaluations: of distinct designs by `section`, none of them stopped.
        section: its rungs, eta and margin count, whatever its own rule.
        seed: of the orders in which the designs come.
    """
    ok = [e for e in evaluations if e.status == "ok" and len(e.curve) == len(section.rungs)]
    sign = -1 if section.text else 1
    ends = np.array([sign * (e.validation or 0.0) for e in ok])
    rungs = tuple(
        RungFidelity(
            epoch=epoch, correlation=rank_correlation(np.array([sign * e.curve[at].validation for e in ok]), ends)
        )
        for at, epoch in enumerate(section.rungs)
    )
    names = ("successive-halving", "learning-curve") if ok and rungs else ()
    return StoppingFidelity(
        designs=len(ok),
        failed=len(evaluations) - len(ok),
        epochs=section.epochs,
        rungs=rungs,
        rules=tuple(_replayed(name, ok, section, np.random.default_rng(seed)) for name in names),
    )


def _replayed(rule: str, ok: Sequence[Evaluation], section: ProxySection, random: np.random.Generator) -> RuleFidelity:
    stopping = whole(section).stopping.model_copy(update={"rule": rule})
    ruled = section.model_copy(update={"stopping": stopping})
    ends = np.array([(-1 if section.text else 1) * (e.validation or 0.0) for e in ok])
    rows = []
    for _ in range(_ORDERS):
        order = random.permutation(len(ok))
        made = replay([ok[i] for i in order], ruled)
        kept = np.array([e.stopped_at is None for e in made])
        lost = float(ends.max() - ends[order][kept].max()) if kept.any() else float("nan")
        rows.append((1 - kept.mean(), saved(made, section), float(lost > 0), lost))
    stopped, share, missed, lost = (float(value) for value in np.array(rows).mean(axis=0))
    return RuleFidelity(
        rule=rule, eta=stopping.eta, margin=stopping.margin, stopped=stopped, saved=share, best_stopped=missed,
        regret=lost,
    )  # fmt: skip
