"""The processes that train one model together: which of them this is, what it takes of a step, what they agree on.

A process alone is a group of one, which asks nobody. Who joins processes (`torch.distributed`) is `aira_lib.training.
rank`; here the group that there is, is used.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.distributed as dist

from aira_lib.training.trainers import check_windows


@dataclass(frozen=True)
class Ranks:
    """This process in its group.

    Attributes:
        rank: its number, from 0.
        count: how many there are.
        device: where the tensors lie by which they talk: a CPU for gloo, this rank's GPU for NCCL.
    """

    rank: int
    count: int
    device: torch.device

    def share(self, rows: int) -> tuple[int, int]:
        """The contiguous rows [start, stop) of a step that this rank takes; shares differ by one row at most.

        Raises:
            UserError: there is not a row for each rank.
        """
        check_windows(self.count, rows)
        return rows * self.rank // self.count, rows * (self.rank + 1) // self.count

    def largest_share(self, rows: int) -> int:
        """Rows of the rank that takes most."""
        return math.ceil(rows / self.count)

    def sums(self, values: Sequence[float]) -> list[float]:
        """Each value added up over the ranks in fp64; the same bits on all of them."""
        if self.count == 1:
            return list(values)
        whole = torch.tensor(values, dtype=torch.float64, device=self.device)
        dist.all_reduce(whole)
        return whole.tolist()

    def any(self, *flags: bool) -> list[bool]:
        """Each flag: whether any rank has raised it."""
        return [count > 0 for count in self.sums([float(flag) for flag in flags])]


def ranks_here(device: torch.device) -> Ranks:
    """The group that this process has joined; alone where it has joined none.

    Args:
        device: what the process computes on.
    """
    if not dist.is_available() or not dist.is_initialized():
        return Ranks(0, 1, device)
    talks_on = device if dist.get_backend() == "nccl" else torch.device("cpu")
    return Ranks(dist.get_rank(), dist.get_world_size(), talks_on)
