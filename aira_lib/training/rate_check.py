"""What runs that differ in nothing but their peak learning rate say of the study's own peak.

The runs of a check share design, number of steps and seed; one of them is the study's own, at its peak. Losses are
compared in nats per token, held-out ones where all runs were scored. One seed says nothing of the spread: two rates
whose losses differ by no more than seeds do are equally good.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from aira_lib.records import PretrainPoint, ScaledDesign, Score, TrainingRun
from aira_lib.study import OptimizerSection
from aira_lib.training.schedule import peak_rate

RateVerdict = Literal["fine", "too low", "too high"]


@dataclass(frozen=True)
class TriedRate:
    """One run: its peak, and its losses in nats per token; None of what diverged, or was not scored."""

    rate: float
    train_loss: float | None
    loss: float | None
    diverged: bool


@dataclass(frozen=True)
class RateCheck:
    """The rates that were tried on one design at one scale, lowest first; `peak` is the study's own."""

    design: ScaledDesign
    steps: int
    peak: float
    tried: tuple[TriedRate, ...]

    @property
    def losses(self) -> list[float | None]:
        """By which the rates are compared: of held-out text where every run that ended well was scored."""
        scored = all(each.loss is not None for each in self.tried if not each.diverged)
        return [each.loss if scored else each.train_loss for each in self.tried]

    @property
    def lowest(self) -> int | None:
        """Which of the rates has the lowest loss; None where all diverged."""
        found = [(loss, place) for place, loss in enumerate(self.losses) if loss is not None]
        return min(found)[1] if found else None

    @property
    def at_edge(self) -> bool:
        """Whether the lowest loss is at the lowest or the highest rate that was tried: the best may lie beyond."""
        return self.lowest in (0, len(self.tried) - 1)

    @property
    def best(self) -> float | None:
        """Where the parabola over the logarithm of the rate has its minimum, by the lowest loss and its neighbours."""
        if self.lowest is None or self.at_edge:
            return None
        around = range(self.lowest - 1, self.lowest + 2)
        losses = [self.losses[place] for place in around]
        known = [loss for loss in losses if loss is not None]
        if len(known) < len(losses):
            return None
        rates = [math.log(self.tried[place].rate / self.tried[self.lowest].rate) for place in around]
        a, b, _ = np.polyfit(rates, known, 2)
        return self.tried[self.lowest].rate * math.exp(-b / (2 * a)) if a > 0 else None

    @property
    def verdict(self) -> RateVerdict:
        """What the lowest loss says of the study's own peak; that all diverged is a rate too high."""
        lowest = self.tried[self.lowest].rate if self.lowest is not None else 0.0
        return "fine" if lowest == self.peak else "too low" if lowest > self.peak else "too high"

    @property
    def sentence(self) -> str:
        """The verdict in words, with what it rests on and what to do."""
        about = f"{self.design.scale.name}: {self.peak:g} is {self.verdict} for {self.design.name}"
        if self.lowest is None:
            return f"{about}: every rate that was tried diverged; try lower ones"
        lowest = self.tried[self.lowest].rate
        if self.at_edge:
            end = "lowest" if self.lowest == 0 else "highest"
            return (
                f"{about}: the lowest loss is at {lowest:g}, the {end} rate that was tried, and the best may lie "
                f"beyond; {'lower' if self.lowest == 0 else 'raise'} pretrain.optimizer.learning_rate and check again"
            )
        guess = f"; a parabola puts the best at {self.best:.2g}" if self.best else "; its neighbours make no parabola"
        what = "it has the lowest loss of those tried" if lowest == self.peak else f"the lowest loss is at {lowest:g}"
        return f"{about}: {what}{guess}"


def rate_checks(runs: Iterable[TrainingRun], scores: Iterable[Score], optimizer: OptimizerSection) -> list[RateCheck]:
    """The checks of learning rates among a study's runs, in the order of these; none where it made none.

    Args:
        runs: training runs of any protocol.
        scores: what was measured on them.
        optimizer: the study's settings, for the peak of the runs that have none of their own.
    """
    by_run = {run.point.id: run for run in runs}
    losses = {score.point.id: score.loss for score in scores}
    checks = []
    for points in _alike(run.point for run in by_run.values()).values():
        peak = peak_rate(optimizer, points[0].design.scale)
        tried = {point.learning_rate or peak: _tried(by_run[point.id], losses, peak) for point in points}
        in_order = tuple(tried[rate] for rate in sorted(tried))
        checks.append(RateCheck(points[0].design, points[0].steps, peak, in_order))
    return checks


def _alike(points: Iterable[PretrainPoint]) -> dict[tuple[str, int, int], Sequence[PretrainPoint]]:
    """Points that differ in their learning rate alone, where any of them was made to try one."""
    groups: dict[tuple[str, int, int], list[PretrainPoint]] = {}
    for point in (point for point in points if point.protocol != "trunk"):
        groups.setdefault((point.design.name, point.steps, point.seed), []).append(point)
    return {key: each for key, each in groups.items() if any(point.protocol == "lr-check" for point in each)}


def _tried(run: TrainingRun, losses: Mapping[str, float | None], peak: float) -> TriedRate:
    return TriedRate(
        run.point.learning_rate or peak, run.final_train_loss, losses.get(run.point.id), run.status == "diverged"
    )
