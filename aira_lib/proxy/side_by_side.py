"""The tasks of an evaluation side by side, in processes that live as long as this one and die with it.

A training at laptop size has more single operations than arithmetic: a second thread within it gains nothing, a second
training beside it does. Each task is trained as it would be here with as many threads, so the scores are the same.
"""

import atexit
import os
import subprocess
import sys
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from typing import Any

from aira_lib.architecture.pattern import Layers
from aira_lib.device import plain_kernels
from aira_lib.proxy.cost import scored_scales, seconds_by_task, seconds_estimate
from aira_lib.proxy.course import Name, Scores, Stepped, TrainingFailed
from aira_lib.records import FailureCause
from aira_lib.study import ProxySection

WORTH_SECONDS = 6.0
"""Of an evaluation: starting a process takes two to three, though only once."""


def workers_for(layers: Layers, section: ProxySection, threads: int) -> int:
    """How many processes share the tasks of an evaluation; 1: it is made here."""
    tasks = len(scored_scales(section))
    if min(threads, tasks) < 2 or seconds_estimate(layers, section) < WORTH_SECONDS:
        return 1
    return min(threads, tasks)


class SideBySide:
    """A `Course` whose tasks are shared by processes."""

    def __init__(
        self, layers: Layers, section: ProxySection, seed: int, names: tuple[Name, ...], workers: int, threads: int,
        stepped: Stepped,
    ) -> None:  # fmt: skip
        self._names, self._stepped = names, stepped
        shares = _shared(seconds_by_task(layers, section), names, workers)
        self._workers = [_worker(number, threads) for number in range(workers)]
        self._ask([("begin", layers, section, seed, share) for share in shares])

    def validated(self, epoch: int) -> Scores:
        """See `Course`."""
        return self._ask([("validated", epoch)] * len(self._workers))

    def tested(self) -> Scores:
        """See `Course`."""
        return self._ask([("tested",)] * len(self._workers))

    def _ask(self, requests: list[tuple[Any, ...]]) -> Scores:
        """Send each worker its request and gather the answers, in the order of the tasks."""
        try:
            for worker, request in zip(self._workers, requests, strict=True):
                worker.connection.send(request)
            found = self._gathered()
        except BaseException:
            end_workers()  # some may still be at work
            raise
        return {name: found[name] for name in self._names if name in found}

    def _gathered(self) -> Scores:
        waiting = {worker.connection for worker in self._workers}
        found: Scores = {}
        while waiting:
            for connection in wait(list(waiting)):
                assert isinstance(connection, Connection)
                kind, *said = _received(connection)
                if kind == "stepped":
                    self._stepped(*said)
                elif kind == "failed":
                    raise TrainingFailed(*said)
                elif kind == "error":
                    raise said[0]
                else:
                    found |= said[0]
                    waiting.remove(connection)
        return found


def _received(connection: Connection) -> Any:
    try:
        return connection.recv()
    except (EOFError, ConnectionError):
        raise TrainingFailed(
            "a process of the evaluation was killed, perhaps out of memory", FailureCause.PROCESS_KILLED
        ) from None


def _shared(seconds: dict[Name, float], names: tuple[Name, ...], workers: int) -> list[tuple[Name, ...]]:
    """Tasks by worker: the longest first, each to the worker with the least to do."""
    shares: list[list[Name]] = [[] for _ in range(workers)]
    for name in sorted(names, key=lambda name: -seconds[name]):
        min(shares, key=lambda share: sum(seconds[each] for each in share)).append(name)
    return [tuple(share) for share in shares]


class _Worker:
    """A process that trains; see `aira_lib.proxy.worker`."""

    def __init__(self, threads: int) -> None:
        self.serves = _served(threads)
        self.connection, other = Pipe()
        with other:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "aira_lib.proxy.worker", str(other.fileno()), str(os.getpid())],
                pass_fds=[other.fileno()], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                env={**os.environ, "OMP_NUM_THREADS": str(threads)},
            )  # fmt: skip

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        self.connection.close()


def _served(threads: int) -> tuple[int, bool]:
    """What a process was started for and does not change: a training has to be the same here and there."""
    return threads, plain_kernels()


_alive: dict[int, _Worker] = {}


def _worker(number: int, threads: int) -> _Worker:
    known = _alive.get(number)
    if known is None or known.serves != _served(threads) or known.process.poll() is not None:
        if known is not None:
            known.end()
        _alive[number] = _Worker(threads)
    return _alive[number]


@atexit.register
def end_workers() -> None:
    """End the processes; the next evaluation starts new ones."""
    for worker in _alive.values():
        worker.end()
    _alive.clear()
