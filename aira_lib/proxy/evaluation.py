"""Evaluate one design: train it on each MAD task, score it on held-out and on test examples."""

import time
from collections.abc import Callable
from functools import lru_cache

import torch

from aira_lib.architecture.cost import params
from aira_lib.datasets.mad import Examples, MADTask, Splits, splits
from aira_lib.models.mad_model import MADModel, mad_model
from aira_lib.proxy.accuracy import token_accuracy
from aira_lib.proxy.cost import count_steps, task_scale, task_settings
from aira_lib.proxy.train import Diverged, predict, train
from aira_lib.records import Evaluation
from aira_lib.spec import ProxySection

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

    Fitness is the mean over tasks of the accuracy of tokens at scored positions. The test score is that of a second
    model, trained on all training examples, when `section.retrain_for_test`; else of the model that validation
    scored. Every design sees the same examples (drawn from `section.seed`); `seed` draws weights and batch order.

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
    validation: dict[str, float] = {}
    test: dict[str, float] = {}
    reason = ""
    for task in section.tasks:
        steps.note = task
        try:
            validation[task], test[task] = _task_scores(
                layers, section, task_settings(section, task), seed, place, steps
            )
        except Diverged as error:
            reason = f"{task}: {error}"
        except (MemoryError, RuntimeError) as error:
            if not _out_of_memory(error):
                raise
            reason = f"{task}: out of memory"
        if reason:
            break
    return Evaluation(
        status="failed" if reason else "ok",
        reason=reason,
        validation=None if reason else _mean(validation),
        test=None if reason else _mean(test),
        validation_by_task=validation,
        test_by_task=test,
        params=params(layers, section.scale())[0],
        train_steps=steps.done,
        seconds=time.monotonic() - started,
    )


class _Steps:
    """Counts optimizer steps over all trainings of an evaluation and reports them."""

    def __init__(self, progress: Progress, total: int) -> None:
        self.progress, self.total, self.done, self.note = progress, total, 0, ""

    def add(self, steps: int) -> None:
        self.done += steps
        self.progress(self.done, self.total, self.note)


def _task_scores(
    layers: tuple[str, ...], section: ProxySection, settings: MADTask, seed: int, device: torch.device, steps: _Steps
) -> tuple[float, float]:
    """Accuracy on validation and on test.

    Weights start from N(0, 1 / d_model), as in Meta's lingua; the paper states none. mad-lab's 0.02, meant for width
    128 and thousands of steps, leaves narrow models near chance for the few steps of a small profile.
    """
    data = task_data(settings, section.train_examples, section.test_examples, section.validation_fraction, section.seed)

    def trained_on(examples: Examples) -> MADModel:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = mad_model(settings.name, layers, task_scale(section, settings))
        model.to(device)
        train(model, examples, section, seed, steps.add)
        return model

    model = trained_on(data.train)
    validation = _accuracy(model, data.validation)
    if section.retrain_for_test:
        model = trained_on(data.pool)
    return validation, _accuracy(model, data.test)


def _accuracy(model: MADModel, examples: Examples) -> float:
    return token_accuracy(predict(model, examples.inputs), examples.targets)


@lru_cache(maxsize=16)
def task_data(settings: MADTask, n_train: int, n_test: int, validation_fraction: float, seed: int) -> Splits:
    """The examples of a task; a search asks for the same ones for every design."""
    return splits(settings, n_train, n_test, validation_fraction, seed)


def _mean(scores: dict[str, float]) -> float:
    return sum(scores.values()) / len(scores)


def _out_of_memory(error: BaseException) -> bool:
    """PyTorch has no class of its own for a CPU that ran out; it says so in words."""
    words = str(error).lower()
    return (
        isinstance(error, MemoryError | torch.OutOfMemoryError)
        or "allocate memory" in words
        or "out of memory" in words
    )
