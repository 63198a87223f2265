"""Evaluate one design: train it on each MAD task or on text, score it on held-out and on test examples."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import torch

from aira_lib.architecture.cost import params
from aira_lib.architecture.pattern import Layers
from aira_lib.device import ready_device
from aira_lib.proxy.cost import count_steps
from aira_lib.proxy.course import Course, Scores, Stepped, TrainingFailed
from aira_lib.proxy.side_by_side import SideBySide, workers_for
from aira_lib.proxy.stopping import as_stopped, stopping_epoch
from aira_lib.records import Accuracies, Evaluation, FailureCause, Rung
from aira_lib.study import ProxySection

Progress = Callable[[float, float, str], None]


def evaluate(
    layers: Layers,
    section: ProxySection,
    seed: int,
    threads: int = 1,
    progress: Progress = lambda done, total, note: None,
    device: str = "auto",
) -> Evaluation:
    """Train and score a design on every task of the section; on a CPU the result is a function of the arguments.

    Fitness is the mean over tasks of the accuracy at scored positions that `section.rank_by_accuracy` names; of a text
    (`section.text`), its cross-entropy in nats per token. The test score is that of a second
    model, trained on all training examples, when `section.retrain_for_test`; else of the model that validation
    scored. Every design sees the same examples (drawn from `section.seed`); `seed` draws weights and batch order.

    All tasks are trained to a rung before any is trained further. Where validation there is below the rung's bar
    (`section.stopping.bars`), the result is that of `aira_lib.proxy.stopping.as_stopped`.

    Args:
        layers: primitives such as "A" and "Mb", first layer first.
        section: dimensions, data and training.
        seed: of weights and batch order.
        threads: for PyTorch; where a CPU's evaluation takes long enough, for processes that share its tasks.
        progress: called with optimizer steps done, steps in all, and the task at hand.
        device: "cpu", "cuda", or "auto": that of `aira_lib.device`.

    Returns:
        Scores; or, when training diverges or memory runs out, status "failed" and the reason.

    Raises:
        UserError: a difficulty that a task's definition cannot meet, or AIRA_DEVICE names a device that is not here.
    """
    started = time.monotonic()
    section = section.at_depth(len(layers))
    torch.set_num_threads(threads)
    place = torch.device(ready_device() if device == "auto" else device)
    steps = _Steps(progress, count_steps(section))
    found = _Found()
    try:
        _train_and_score(_course(layers, section, seed, place, threads, steps.add), section, found)
    except TrainingFailed as failure:
        found.reason, found.cause = str(failure), failure.cause  # not the error itself, which holds the model
    return as_stopped(_evaluation(found, layers, section, steps.done, time.monotonic() - started), section)


@dataclass
class _Found:
    """What an evaluation found so far, and why it failed, if it did."""

    curve: list[Rung] = field(default_factory=list)
    validation: Scores = field(default_factory=dict)
    test: Scores = field(default_factory=dict)
    reason: str = ""
    cause: FailureCause | None = None


class _Steps:
    """Counts optimizer steps over all trainings of an evaluation and reports them."""

    def __init__(self, progress: Progress, total: int) -> None:
        self.progress, self.total, self.done = progress, total, 0

    def add(self, steps: int, task: str) -> None:
        self.done += steps
        self.progress(self.done, self.total, task)


def _course(
    layers: Layers, section: ProxySection, seed: int, device: torch.device, threads: int, stepped: Stepped
) -> Course | SideBySide:
    names = (section.text,) if section.text else section.tasks
    workers = workers_for(layers, section, threads) if device.type == "cpu" else 1
    if workers == 1:
        return Course(layers, section, seed, names, device, stepped)
    return SideBySide(layers, section, seed, names, workers, threads // workers, stepped)


def _train_and_score(course: Course | SideBySide, section: ProxySection, found: _Found) -> None:
    for epoch in section.rungs:
        scores = course.validated(epoch)
        found.curve.append(Rung(epoch=epoch, validation_by_task=_fitness(scores)))
        if stopping_epoch(found.curve, section) is not None:
            return
    found.validation = course.validated(section.epochs)
    found.test = course.tested()


def _evaluation(found: _Found, layers: Layers, section: ProxySection, steps: int, seconds: float) -> Evaluation:
    """The record of what was found; there is no fitness where training failed."""
    failed = bool(found.reason)
    return Evaluation(
        status="failed" if failed else "ok",
        reason=found.reason,
        cause=found.cause,
        ranked_by="" if section.text else section.rank_by_accuracy,
        validation=None if failed or not found.validation else _mean(found.validation),
        test=None if failed or not found.test else _mean(found.test),
        validation_by_task=_fitness(found.validation),
        test_by_task=_fitness(found.test),
        validation_accuracies=_accuracies(found.validation),
        test_accuracies=_accuracies(found.test),
        curve=tuple(found.curve),
        params=params(layers, section.scale())[0],
        train_steps=steps,
        seconds=seconds,
        training_seconds=seconds,
    )


def _mean(scores: Scores) -> float:
    return sum(score.fitness for score in scores.values()) / len(scores)


def _fitness(scores: Scores) -> dict[str, float]:
    return {name: score.fitness for name, score in scores.items()}


def _accuracies(scores: Scores) -> dict[str, Accuracies]:
    return {name: score.accuracies for name, score in scores.items() if score.accuracies}
