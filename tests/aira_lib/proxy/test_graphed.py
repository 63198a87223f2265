"""Steps as CUDA graphs: how they are kept, on any machine; that they change nothing, on a GPU."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor

from aira_lib.device import KERNELS_VARIABLE
from aira_lib.proxy.evaluation import evaluate
from aira_lib.proxy.graphed import PLAIN_STEPS, GraphedStep
from aira_lib.tasks.profile import LAPTOP


class Recorder:
    """In the place of CUDA's graphs: what is called while one is captured is called again when it is replayed."""

    capturing: "Recorder | None" = None

    def __init__(self) -> None:
        self.calls: list[Any] = []

    def replay(self) -> None:
        for call in self.calls:
            call()


@contextmanager
def capture(graph: Recorder, stream: object) -> Iterator[None]:
    Recorder.capturing = graph
    yield
    Recorder.capturing = None


def test_there_is_one_graph_a_size_and_each_batch_is_taken_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "CUDAGraph", Recorder)
    monkeypatch.setattr(torch.cuda, "graph", capture)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda: None)
    taken: list[list[int]] = []
    captured = []

    def step(rows: Tensor) -> Tensor:
        loss = torch.zeros(())

        def run() -> None:
            taken.append(rows.tolist())
            loss.copy_(rows.sum())

        if Recorder.capturing:
            captured.append(len(rows))
            Recorder.capturing.calls.append(run)
        else:
            run()
        return loss

    batches = [torch.arange(first, first + size) for first in range(6) for size in (4, 3)]
    graphed = GraphedStep(step)
    losses = [graphed(rows).item() for rows in batches]
    assert taken == [rows.tolist() for rows in batches]
    assert losses == [rows.sum().item() for rows in batches]
    assert captured == [4, 3]
    assert PLAIN_STEPS < 6


@pytest.mark.gpu
@pytest.mark.parametrize("layers", [("A", "M") * 2, ("Mb", "A", "M", "Mb")])
def test_graphs_change_nothing(layers: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    results = []
    for kernels in ("plain", "fused"):
        monkeypatch.setenv(KERNELS_VARIABLE, kernels)
        results.append(evaluate(layers, LAPTOP, 0, device="cuda"))
    plain, graphed = results
    assert graphed.status == "ok"
    for task, score in plain.validation_by_task.items():
        assert graphed.validation_by_task[task] == pytest.approx(score, abs=0.02), task


@pytest.mark.gpu
def test_divergence_is_noticed_on_a_gpu() -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    result = evaluate(("Mb", "A"), LAPTOP.model_copy(update={"learning_rate": 1e30}), 0, device="cuda")
    assert result.status == "failed"
    assert "the loss became" in result.reason
