"""A training step on a GPU as one launch: the kernels of a small model, hundreds a step, run shorter than they launch.

A CUDA graph repeats what was launched while it was captured, at the same addresses. So a step's only input is a buffer
with the rows of its batch, and there is one graph for each batch size. Capturing executes nothing; the first steps of
a size are taken without a graph, since libraries set themselves up in them. A graph runs the same kernels in the same
order as the plain step. Compiling the model as well would take longer than its whole training: every design is new.
"""

from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

Step = Callable[[Tensor], Tensor]
"""Takes the rows of a batch, returns its loss."""

PLAIN_STEPS = 2


class _Captured(NamedTuple):
    graph: torch.cuda.CUDAGraph
    rows: Tensor
    loss: Tensor


class GraphedStep:
    """The step as CUDA graphs. It has to be called within a stream that is not the default one.

    The loss it returns is overwritten by the next step.
    """

    def __init__(self, step: Step) -> None:
        self._step = step
        self._taken: Counter[int] = Counter()
        self._captured: dict[int, _Captured] = {}

    def __call__(self, rows: Tensor) -> Tensor:
        """Take a step on the rows of a batch."""
        size = len(rows)
        if self._taken[size] < PLAIN_STEPS:
            self._taken[size] += 1
            return self._step(rows)
        if size not in self._captured:
            self._captured[size] = self._capture(rows)
        captured = self._captured[size]
        captured.rows.copy_(rows)
        captured.graph.replay()
        return captured.loss

    def _capture(self, rows: Tensor) -> _Captured:
        graph, own = torch.cuda.CUDAGraph(), rows.clone()
        with torch.cuda.graph(graph, stream=torch.cuda.current_stream()):
            loss = self._step(own)
        return _Captured(graph, own, loss)
