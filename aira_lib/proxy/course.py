"""The trainings of an evaluation, of all its tasks or of some: trained to a rung, validated, tested."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache

import torch

from aira_lib.architecture.pattern import Layers
from aira_lib.datasets.mad import Examples, MADTask, Splits, splits
from aira_lib.models.mad_model import MADModel, mad_model
from aira_lib.proxy.accuracy import accuracies
from aira_lib.proxy.cost import task_scale, task_settings
from aira_lib.proxy.language import language_task
from aira_lib.proxy.scored_task import Score, ScoredTask, Training
from aira_lib.proxy.train import Diverged, predict
from aira_lib.records import FailureCause
from aira_lib.study import LanguageName, MADTaskName, ProxySection

Name = MADTaskName | LanguageName
Scores = dict[Name, Score]
Stepped = Callable[[int, str], None]
"""Told how many optimizer steps were taken, and of which task."""


class TrainingFailed(Exception):
    """A training has no score; the text names the task and says why, `cause` in a word."""

    def __init__(self, reason: str, cause: FailureCause) -> None:
        super().__init__(reason)
        self.cause = cause


class Course:
    """Trainings of one design on some tasks, with `seed` for weights and order of batches.

    Raises:
        UserError: a difficulty that a task's definition cannot meet.
        TrainingFailed: memory ran out; of every method, too, and they when a training diverges.
    """

    def __init__(
        self, layers: Layers, section: ProxySection, seed: int, names: tuple[Name, ...], device: torch.device,
        stepped: Stepped,
    ) -> None:  # fmt: skip
        self._section, self._seed, self._device, self._stepped = section, seed, device, stepped
        self._trainings: dict[Name, Training] = {}
        for name in names:
            with _failing(name):
                task = _task(layers, section, name)
                self._trainings[name] = self._training(name, task, task.data.train)

    def validated(self, epoch: int) -> Scores:
        """Train all tasks to an epoch and score their held-out examples."""
        self._train_to(epoch)
        return self._scored(lambda task: task.data.validation)

    def tested(self) -> Scores:
        """Score the test examples: by models trained on all training examples where the section asks for it."""
        if self._section.retrain_for_test:
            for name, each in list(self._trainings.items()):
                with _failing(name):
                    self._trainings[name] = self._training(name, each.task, each.task.data.pool)
        self._train_to(self._section.epochs)
        return self._scored(lambda task: task.data.test)

    def _training(self, name: Name, task: ScoredTask, examples: Examples) -> Training:
        return Training(
            task, examples, self._section, self._seed, self._device, lambda steps: self._stepped(steps, name)
        )

    def _train_to(self, epoch: int) -> None:
        """An epoch of each task in turn: a GPU is only told to take its steps, so that the tasks run side by side."""
        while any(each.epoch < epoch for each in self._trainings.values()):
            for name, each in self._trainings.items():
                with _failing(name):
                    each.train_to(min(each.epoch + 1, epoch))

    def _scored(self, examples: Callable[[ScoredTask], Examples]) -> Scores:
        found: Scores = {}
        for name, each in self._trainings.items():
            with _failing(name):
                found[name] = each.score(examples(each.task))
        return found


@contextmanager
def _failing(task: str) -> Iterator[None]:
    """Work on a task, of which divergence and a lack of memory are the evaluation's reason to fail."""
    try:
        yield
    except Diverged as error:
        raise TrainingFailed(f"{task}: {error}", FailureCause.DIVERGED) from None
    except (MemoryError, RuntimeError) as error:
        if not _out_of_memory(error):
            raise
        raise TrainingFailed(f"{task}: out of memory", FailureCause.OUT_OF_MEMORY) from None


def _task(layers: Layers, section: ProxySection, name: Name) -> ScoredTask:
    """A task of the section; its model starts as in mad-lab (see `mad_model`), for the paper states no weights."""
    if name == "babistories" or name == "dclm":
        return language_task(layers, section, name)
    settings = task_settings(section, name)
    data = task_data(settings, section.train_examples, section.test_examples, section.validation_fraction, section.seed)

    def score(model: MADModel, examples: Examples) -> Score:
        found = accuracies(predict(model, examples.inputs, section.precision), examples.targets)
        return Score(getattr(found, section.rank_by_accuracy.replace("-", "_")).value, found)

    return ScoredTask(name, data, lambda: mad_model(settings.name, layers, task_scale(section, settings)), score)


@lru_cache(maxsize=16)
def task_data(settings: MADTask, n_train: int, n_test: int, validation_fraction: float, seed: int) -> Splits:
    """The examples of a task; a search asks for the same ones for every design."""
    return splits(settings, n_train, n_test, validation_fraction, seed)


def _out_of_memory(error: BaseException) -> bool:
    """PyTorch has no class of its own for a CPU that ran out; it says so in words."""
    words = str(error).lower()
    return (
        isinstance(error, MemoryError | torch.OutOfMemoryError)
        or "allocate memory" in words
        or "out of memory" in words
    )
