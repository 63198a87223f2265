"""Evaluate one design: train it on each MAD task or on text, score it on held-out and on test examples."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache

import torch

from aira_lib.architecture.cost import params
from aira_lib.datasets.mad import Examples, MADTask, Splits, splits
from aira_lib.models.mad_model import MADModel, mad_model
from aira_lib.proxy.accuracy import accuracies
from aira_lib.proxy.cost import count_steps, task_scale, task_settings
from aira_lib.proxy.language import language_task
from aira_lib.proxy.scored_task import Score, ScoredTask, Training
from aira_lib.proxy.stopping import as_stopped, stopping_epoch
from aira_lib.proxy.train import Diverged, predict
from aira_lib.records import Accuracies, Evaluation, Rung
from aira_lib.spec import LanguageName, MADTaskName, ProxySection

Progress = Callable[[float, float, str], None]


def evaluate(
    layers: tuple[str, ...],
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
        layers: primitives "A", "M", "Mb", first layer first.
        section: dimensions, data and training.
        seed: of weights and batch order.
        threads: of PyTorch within this process.
        progress: called with optimizer steps done, steps in all, and the task at hand.
        device: "cpu", "cuda", or "auto": CUDA where there is one.

    Returns:
        Scores; or, when training diverges or memory runs out, status "failed" and the reason.

    Raises:
        UserError: a difficulty that a task's definition cannot meet.
    """
    started = time.monotonic()
    torch.set_num_threads(threads)
    place = torch.device(("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device)
    steps = _Steps(progress, count_steps(section))
    scores = _Scores()
    reason = ""
    try:
        _train_and_score(layers, section, seed, place, steps, scores)
    except _Failed as failure:
        reason = str(failure)
    whole = Evaluation(
        status="failed" if reason else "ok",
        reason=reason,
        ranked_by="" if section.text else section.rank_by_accuracy,
        validation=None if reason or not scores.validation else _mean(scores.validation),
        test=None if reason or not scores.test else _mean(scores.test),
        validation_by_task=_fitness(scores.validation),
        test_by_task=_fitness(scores.test),
        validation_accuracies=_accuracies(scores.validation),
        test_accuracies=_accuracies(scores.test),
        curve=tuple(scores.curve),
        params=params(layers, section.scale())[0],
        train_steps=steps.done,
        seconds=time.monotonic() - started,
    )
    return as_stopped(whole, section)


class _Failed(Exception):
    """Why an evaluation has no scores."""


@dataclass
class _Scores:
    """What an evaluation found so far."""

    curve: list[Rung] = field(default_factory=list)
    validation: dict[str, Score] = field(default_factory=dict)
    test: dict[str, Score] = field(default_factory=dict)


class _Steps:
    """Counts optimizer steps over all trainings of an evaluation and reports them."""

    def __init__(self, progress: Progress, total: int) -> None:
        self.progress, self.total, self.done, self.note = progress, total, 0, ""

    def add(self, steps: int) -> None:
        self.done += steps
        self.progress(self.done, self.total, self.note)


def _train_and_score(
    layers: tuple[str, ...], section: ProxySection, seed: int, device: torch.device, steps: _Steps, scores: _Scores
) -> None:
    def training(task: ScoredTask, examples: Examples) -> Training:
        return Training(task, examples, section, seed, device, steps.add)

    running = {}
    for name in (section.text,) if section.text else section.tasks:
        with _failing(name, steps):
            task = _task(layers, section, name)
            running[name] = training(task, task.data.train)
    for epoch in section.rungs:
        found = {name: _validated(name, each, epoch, steps).fitness for name, each in running.items()}
        scores.curve.append(Rung(epoch=epoch, validation_by_task=found))
        if stopping_epoch(scores.curve, section) is not None:
            return
    for name, each in running.items():
        scores.validation[name] = _validated(name, each, section.epochs, steps)
    for name, each in running.items():
        with _failing(name, steps):
            final = training(each.task, each.task.data.pool) if section.retrain_for_test else each
            final.train_to(section.epochs)
            scores.test[name] = final.score(each.task.data.test)


def _validated(name: str, training: Training, epoch: int, steps: _Steps) -> Score:
    with _failing(name, steps):
        training.train_to(epoch)
        return training.score(training.task.data.validation)


@contextmanager
def _failing(task: str, steps: _Steps) -> Iterator[None]:
    """Work on a task, of which divergence and a lack of memory are the evaluation's reason to fail."""
    steps.note = task
    try:
        yield
    except Diverged as error:
        raise _Failed(f"{task}: {error}") from None
    except (MemoryError, RuntimeError) as error:
        if not _out_of_memory(error):
            raise
        raise _Failed(f"{task}: out of memory") from None


def _task(layers: tuple[str, ...], section: ProxySection, name: MADTaskName | LanguageName) -> ScoredTask:
    """A task of the section.

    Weights of its model start from N(0, 1 / d_model), as in Meta's lingua; the paper states none. mad-lab's 0.02, meant
    for width 128 and thousands of steps, leaves narrow models near chance for the few steps of a small profile.
    """
    if name == "babistories" or name == "dclm":
        return language_task(layers, section, name)
    settings = task_settings(section, name)
    data = task_data(settings, section.train_examples, section.test_examples, section.validation_fraction, section.seed)

    def score(model: MADModel, examples: Examples) -> Score:
        both = accuracies(predict(model, examples.inputs, section.precision), examples.targets)
        return Score((both.macro if section.rank_by_accuracy == "macro" else both.token).value, both)

    return ScoredTask(name, data, lambda: mad_model(settings.name, layers, task_scale(section, settings)), score)


@lru_cache(maxsize=16)
def task_data(settings: MADTask, n_train: int, n_test: int, validation_fraction: float, seed: int) -> Splits:
    """The examples of a task; a search asks for the same ones for every design."""
    return splits(settings, n_train, n_test, validation_fraction, seed)


def _mean(scores: dict[str, Score]) -> float:
    return sum(score.fitness for score in scores.values()) / len(scores)


def _fitness(scores: dict[str, Score]) -> dict[str, float]:
    return {name: score.fitness for name, score in scores.items()}


def _accuracies(scores: dict[str, Score]) -> dict[str, Accuracies]:
    return {name: score.accuracies for name, score in scores.items() if score.accuracies}


def _out_of_memory(error: BaseException) -> bool:
    """PyTorch has no class of its own for a CPU that ran out; it says so in words."""
    words = str(error).lower()
    return (
        isinstance(error, MemoryError | torch.OutOfMemoryError)
        or "allocate memory" in words
        or "out of memory" in words
    )
