"""Train one language model on several devices, each with all of it: distributed data parallel (DDP)."""

import warnings
from contextlib import AbstractContextManager, nullcontext

from torch import nn
from torch.nn.parallel import DistributedDataParallel

from aira_lib.training.arithmetic import LanguageTrainer, Objective


class DdpTrainer(LanguageTrainer):
    """A language model in training on as many devices as there are ranks; alone it is trained as on one device.

    Each rank holds weights, gradients and moments, 16 bytes a parameter: right for models of which that fits beside
    their activations. Gradients are exchanged once a step, in the last of its passes, while it still runs.
    """

    def _spread(self, objective: Objective) -> nn.Module:
        placed = super()._spread(objective)
        if self.ranks.count == 1:
            return placed
        # The index is that of a process's GPU; buffers are constants, equal on all ranks.
        devices = None if self.device.type == "cpu" else [self.device]
        with warnings.catch_warnings():
            # PyTorch 2.13 calls the option by another name, which those before do not know.
            warnings.filterwarnings("ignore", ".*broadcast_buffers", FutureWarning)
            return DistributedDataParallel(placed, devices, broadcast_buffers=False, gradient_as_bucket_view=True)

    def _backward_of(self, last: bool) -> AbstractContextManager[None]:
        if last or not isinstance(self.objective, DistributedDataParallel):
            return nullcontext()
        return self.objective.no_sync()
