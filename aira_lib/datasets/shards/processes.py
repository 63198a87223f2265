"""Processes side by side, each fresh, none of which outlives the one that began them."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from ctypes import c_int64
from multiprocessing.sharedctypes import Synchronized
from typing import Any

from aira_lib.errors import UserError

# A fresh process each: a fork of one that has threads, as pyarrow's and boto3's, may wait for ever.
_CONTEXT = multiprocessing.get_context("spawn")


def shared_count() -> "Synchronized[int]":
    """A whole number from 0 that processes of `side_by_side` can be given as `shared`."""
    return _CONTEXT.Value(c_int64, 0)


@contextmanager
def side_by_side(processes: int, begin: Callable[..., None], *shared: Any) -> Iterator[ProcessPoolExecutor]:
    """A pool of processes; what waits in it is given up when the block fails.

    Args:
        processes: how many.
        begin: called in each with `shared`, before anything else.
        shared: see there.

    Raises:
        UserError: a process was killed.
    """
    with _Pool(processes, _CONTEXT, _begin, (begin, *shared)) as pool:
        try:
            yield pool
        except BrokenProcessPool:
            raise UserError(
                "a process was killed, as the system does where memory runs out; run the same command again, with "
                "fewer --processes"
            ) from None
        except BaseException:
            # One that is still beginning needs what this process shares with it until it has ended.
            pool.shutdown(cancel_futures=True)
            raise


class _Pool(ProcessPoolExecutor):
    """Its processes begin deaf to Ctrl-C, which would have each print where in its imports it was."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])  # a new process inherits it
        try:
            return super().submit(fn, *args, **kwargs)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin(begin: Callable[..., None], *shared: Any) -> None:
    parent = multiprocessing.parent_process()
    if parent:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    begin(*shared)
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # from here on it ends without a word
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])


def _end_with(parent: multiprocessing.process.BaseProcess) -> None:
    parent.join()
    os._exit(1)
