"""A process that trains some tasks of evaluations for another one: `python -m aira_lib.proxy.worker FD PID`.

Over the socket FD it takes requests, each a method of `Course` with its arguments, and answers with what that returns,
or why it fails, after word of the steps taken. It ends with the process PID.
"""

import contextlib
import ctypes
import os
import signal
import sys
import traceback
from multiprocessing.connection import Connection
from typing import Any

import torch

from aira_lib.proxy.course import Course, Scores, TrainingFailed

_PR_SET_PDEATHSIG = 1


def serve(connection: Connection) -> None:
    """Answer requests until the other side is gone."""
    course: Course | None = None

    def stepped(steps: int, task: str) -> None:
        connection.send(("stepped", steps, task))

    def answer(request: tuple[Any, ...]) -> Scores:
        nonlocal course
        name, *arguments = request
        if name == "begin":
            course = None  # its memory goes before the next one's is taken
            layers, section, seed, names = arguments
            course = Course(layers, section, seed, names, torch.device("cpu"), stepped)
            return {}
        assert course is not None
        return course.validated(*arguments) if name == "validated" else course.tested()

    while True:
        try:
            request = connection.recv()
        except EOFError:
            return
        try:
            said: tuple[Any, ...] = ("done", answer(request))
        except TrainingFailed as failure:
            said = ("failed", str(failure), failure.cause)
        except Exception as error:
            error.add_note("".join(traceback.format_exception(error)))
            said = ("error", error)
        connection.send(said)


def _die_with(parent: int) -> None:
    """Linux kills this process when its parent ends, however that ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit("the process that this one works for is gone")


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the other side is interrupted as well, and ends this one
    _die_with(int(sys.argv[2]))
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        serve(Connection(int(sys.argv[1])))
