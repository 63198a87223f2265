"""Early stopping that can be checked: what a rule does is a function of validation curves, recorded or live.

A rule sets a bar for each rung from the designs that were scored before, in their order; a design that is below a bar
is trained no further. So a search that is resumed decides the same again; and since a training that was stopped is the
beginning of the whole one, bit for bit, what a rule would have done is seen on whole trainings by replaying it.
"""

import math
from collections.abc import Sequence

from aira_lib.proxy.cost import count_steps, steps_to
from aira_lib.records import Evaluation, Rung
from aira_lib.study import ProxySection


def with_bars(section: ProxySection, earlier: Sequence[Evaluation]) -> ProxySection:
    """The section with the bars of its rule; bars that it has already stay.

    Args:
        section: whose rule and direction count.
        earlier: evaluations of distinct designs by the same section, oldest first; some may have been stopped.
    """
    stopping = section.stopping
    if stopping.rule == "none" or stopping.bars or not section.rungs:
        return section
    bar = _among_best if stopping.rule == "successive-halving" else _near_best
    bars = tuple(bar(section, earlier, at) for at in range(len(section.rungs)))
    return section.model_copy(update={"stopping": stopping.model_copy(update={"bars": bars})})


def whole(section: ProxySection) -> ProxySection:
    """The section without a rule or bars."""
    stopping = section.stopping.model_copy(update={"rule": "none", "bars": ()})
    return section.model_copy(update={"stopping": stopping})


def _among_best(section: ProxySection, earlier: Sequence[Evaluation], at: int) -> float | None:
    """The worst of the best 1/eta, rounded up, where the new design counts among those that reached the rung."""
    reached = sorted(_goodness(section, e.curve[at].validation) for e in earlier if len(e.curve) > at)
    kept = math.ceil((len(reached) + 1) / section.stopping.eta)
    return _goodness(section, reached[-kept]) if kept <= len(reached) else None


def _near_best(section: ProxySection, earlier: Sequence[Evaluation], at: int) -> float | None:
    """The value that the best whole training had here, less the margin."""
    known = [e for e in earlier if e.validation is not None and e.stopped_at is None and len(e.curve) > at]
    if not known:
        return None
    best = max(known, key=lambda e: _goodness(section, e.validation or 0.0))
    return _goodness(section, _goodness(section, best.curve[at].validation) - section.stopping.margin)


def _goodness(section: ProxySection, fitness: float) -> float:
    """The larger the better; its own inverse."""
    return -fitness if section.text else fitness


def stopping_epoch(curve: Sequence[Rung], section: ProxySection) -> int | None:
    """The first rung on a curve that is below its bar; None where all reach theirs."""
    for rung, bar in zip(curve, section.stopping.bars, strict=False):
        if bar is not None and _goodness(section, rung.validation) < _goodness(section, bar):
            return rung.epoch
    return None


def as_stopped(evaluation: Evaluation, section: ProxySection) -> Evaluation:
    """What an evaluation is under the section's bars: itself, or what was known when it was below one."""
    epoch = stopping_epoch(evaluation.curve, section)
    if epoch is None:
        return evaluation
    curve = tuple(rung for rung in evaluation.curve if rung.epoch <= epoch)
    return Evaluation(
        status="ok",
        reason=f"stopped after {epoch} of {section.epochs} epochs",
        ranked_by=evaluation.ranked_by,
        validation=curve[-1].validation,
        validation_by_task=curve[-1].validation_by_task,
        curve=curve,
        stopped_at=epoch,
        params=evaluation.params,
        train_steps=steps_to(section, epoch),
        key=evaluation.key,
        seconds=evaluation.seconds,
        training_seconds=evaluation.training_seconds,
    )


def replay(evaluations: Sequence[Evaluation], section: ProxySection) -> list[Evaluation]:
    """What the section's rule would have made of whole trainings, in their order."""
    found: list[Evaluation] = []
    for evaluation in evaluations:
        found.append(as_stopped(evaluation, with_bars(section, found)))
    return found


def saved(evaluations: Sequence[Evaluation], section: ProxySection) -> float:
    """The share of optimizer steps that stopping saved; failures count as whole trainings."""
    steps = count_steps(section)
    spent = sum(e.train_steps if e.stopped_at else steps for e in evaluations)
    return 1 - spent / (steps * len(evaluations)) if evaluations else 0.0
