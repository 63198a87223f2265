"""What the ranks of a run tell each other about checkpoints; a process without torch.distributed is the only rank."""

from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar, cast

import torch.distributed as dist
from torch.distributed.checkpoint.api import CheckpointException

from aira_lib.errors import StoreError, UserError, from_os_error
from aira_lib.launch.launcher import RETRY

T = TypeVar("T")


class SilentRank(UserError):
    """A rank is dead or does not answer: this job is over, and may be started again."""

    exit_code = RETRY


class RankFailed(StoreError):
    """A rank could not do its part of a checkpoint."""


class RankGroup:
    """A process group of its own on the CPU, with a limit to waiting.

    Training's group cannot serve: its collectives would mix with those of a thread. Groups are made together: all
    ranks make the same ones in the same order.
    """

    def __init__(self, seconds: float) -> None:
        """Make the group.

        Args:
            seconds: for which a rank waits for another.
        """
        self.group: dist.ProcessGroup | None = None
        self.rank, self.world = 0, 1
        self.seconds = seconds
        if dist.is_available() and dist.is_initialized():
            self.group = dist.new_group(backend="gloo", timeout=timedelta(seconds=seconds))
            self.rank, self.world = dist.get_rank(), dist.get_world_size()

    def gather(self, value: T) -> list[T]:
        """Every rank's value, by rank, on every rank.

        Raises:
            SilentRank: a rank did not give its own in time.
        """
        if self.group is None:
            return [value]
        values: list[T] = [value] * self.world
        try:
            dist.all_gather_object(values, value, group=self.group)
        except RuntimeError as error:
            reason = (str(error).splitlines() or ["?"])[0].rpartition("] ")[2]  # not the line of C++ that says it
            raise SilentRank(
                f"rank {self.rank} of {self.world}: another rank ended, or was silent for {self.seconds:g} s "
                f"({reason}); see that rank's output, then run the same command again"
            ) from error
        return values

    def together(self, work: Callable[[], T], place: object = "the disk") -> list[T]:
        """Let every rank work, then hear of all: each rank's value, by rank, on every rank.

        Args:
            work: what this rank does.
            place: the folder to name where a disk refuses.

        Raises:
            Exception: what the work raised on this rank.
            RankFailed: it failed on another.
            SilentRank: a rank ended or did not answer.
        """
        value: T | None = None
        problem: Exception | None = None
        try:
            value = work()
        except CheckpointException as error:  # no `Exception`
            problem = _of_library(error, place)
        except Exception as error:
            problem = error
        answers = self.gather((value, problem and _in_words(problem, place)))
        if problem:
            raise problem
        for rank, (_, words) in enumerate(answers):
            if words is not None:
                raise RankFailed(f"rank {rank}: {words}")
        return [cast(T, each) for each, _ in answers]


def _of_library(error: CheckpointException, place: object) -> RankFailed:
    """What torch.distributed.checkpoint says that ranks met, which it tells all ranks, as the line of the first."""
    rank, (reason, _) = min(error.failures.items(), key=lambda item: item[0])
    return RankFailed(f"rank {rank}: {_in_words(reason, place)}")


def _in_words(error: BaseException, place: object) -> str:
    if isinstance(error, OSError) and (mendable := from_os_error(error, place)):
        error = mendable
    text = (str(error).splitlines() or [type(error).__name__])[0]
    return text if isinstance(error, UserError) else f"{type(error).__name__}: {text}"
