"""Follow a run on a cluster to its end, as lines; leaving leaves the run alone."""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from aira_lib.cluster.rest import Unanswered
from aira_lib.cluster.run import Run
from aira_lib.cluster.runs import RunsApi
from aira_lib.console import duration
from aira_lib.errors import UserError
from aira_lib.foreign import in_a_line

LEFT = 128 + signal.SIGTERM
SECONDS = 15.0
"""Between two looks."""


def follow(runs: RunsApi, run_id: str, say: Callable[[str], None], pause: Callable[[float], None] = time.sleep) -> Run:
    """Say what becomes of a run and its tasks until it has ended; how it ended.

    A server that does not answer for a while is waited for: the run goes on without it.

    Raises:
        UserError: there is no such run.
    """
    told: dict[str, str] = {}
    begun = time.monotonic()
    while True:
        try:
            run = runs.get(run_id)
        except Unanswered as error:
            say(f"{duration(time.monotonic() - begun):>8}  {error}")
        else:
            if run is None:
                raise UserError(f"run {run_id}: Kubeflow has none of this id; `aira runs list` has all")
            for line in _news(run, told):
                say(f"{duration(time.monotonic() - begun):>8}  {line}")
            if run.ended:
                return run
        pause(SECONDS)


@contextmanager
def leaving(say: Callable[[str], None], run_id: str) -> Iterator[None]:
    """Within, a SIGTERM ends this process and says that the run goes on: a pod that is moved is followed by another.

    The first process of a container has to say so itself: for it, SIGTERM would mean nothing.
    """

    def leave(number: int, frame: FrameType | None) -> None:
        say(f"Told to end; the run goes on: aira runs watch {run_id}")
        raise SystemExit(LEFT)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def summary(run: Run) -> str:
    """How a run is, in a line: its state, what failed."""
    failed = [task for task in run.tasks if task.state == "FAILED"]
    reasons = [run.error, *(f"{task.name}: {task.error or 'failed'}" for task in failed)]
    said = "; ".join(dict.fromkeys(in_a_line(each, 200) for each in reasons if each))
    return f"{run.state.lower()}{f' ({said})' if said else ''}"


def _news(run: Run, told: dict[str, str]) -> Iterator[str]:
    """What has changed since it was told; names of tasks that repeat, as in a loop, are told apart by their pods."""
    for task in run.tasks:
        if told.get(key := task.pod or task.name) != task.state:
            told[key] = task.state
            yield f"{task.name}: {task.state.lower()}" + (f" ({in_a_line(task.error, 200)})" if task.error else "")
    if told.get("") != run.state:
        told[""] = run.state
        yield f"run: {summary(run)}"
