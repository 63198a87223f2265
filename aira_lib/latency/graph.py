"""A call as one CUDA graph: launching the kernels of a decoding step, one by one, takes longer than they run."""

from collections.abc import Callable, Mapping

import torch

from aira_lib.latency.timing import Call

PLAIN_CALLS = 3
"""Before a capture: libraries set themselves up, and tables are made, which a graph must find where they stay."""


def graphed(calls: Mapping[str, Call]) -> dict[str, Call]:
    """The same calls, each of which launches a graph of what it would have launched.

    They must read and write the same memory every time, and may not wait for the device.

    Raises:
        RuntimeError: a call cannot be captured, since a layer of somebody's own waits for the device, say.
    """
    return {name: _captured(call) for name, call in calls.items()}


def _captured(call: Call) -> Call:
    aside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        for _ in range(PLAIN_CALLS):
            call()
    torch.cuda.current_stream().wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        result = call()
    return _Replay(graph.replay, result)


class _Replay:
    """A graph's launch; what it computes lies in its result, which must live as long as the graph."""

    def __init__(self, replay: Callable[[], None], result: object) -> None:
        self._replay, self._result = replay, result

    def __call__(self) -> object:
        self._replay()
        return self._result
