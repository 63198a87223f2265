"""One task of an evaluation, whether a MAD task or a text: its data, its model, and how a model is scored on it."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import NamedTuple

import torch

from aira_lib.datasets.mad import Examples, Splits
from aira_lib.models.mad_model import MADModel
from aira_lib.proxy.train import epochs
from aira_lib.records import Accuracies
from aira_lib.study import ProxySection


class Score(NamedTuple):
    """The fitness, and on MAD both accuracies."""

    fitness: float
    accuracies: Accuracies | None = None


@dataclass(frozen=True)
class ScoredTask:
    """See the module. `new_model` draws weights from PyTorch's random state."""

    name: str
    data: Splits
    new_model: Callable[[], MADModel]
    score: Callable[[MADModel, Examples], Score]


class Training:
    """A model in training on some examples of a task; it can be scored at any epoch, and trained on.

    On a GPU it has a stream of its own, so that several trainings run side by side.
    """

    def __init__(
        self,
        task: ScoredTask,
        examples: Examples,
        section: ProxySection,
        seed: int,
        device: torch.device,
        stepped: Callable[[int], None],
    ) -> None:
        self.task, self.epoch = task, 0
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None  # type: ignore[no-untyped-call]
        with torch.random.fork_rng(devices=[]), self._on_stream():
            torch.manual_seed(seed)
            self.model = task.new_model().to(device)
        self._epochs = epochs(self.model, examples, section, seed, stepped)

    def train_to(self, epoch: int) -> None:
        """Train until so many epochs are done.

        Raises:
            Diverged: see `aira_lib.proxy.train.epochs`.
        """
        with self._on_stream():
            while self.epoch < epoch:
                next(self._epochs)
                self.epoch += 1

    def score(self, examples: Examples) -> Score:
        """The score of the model as it is."""
        with self._on_stream():
            return self.task.score(self.model, examples)

    def _on_stream(self) -> AbstractContextManager[object]:
        return torch.cuda.stream(self._stream) if self._stream else nullcontext()
