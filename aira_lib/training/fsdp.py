"""Train one language model whose state is spread over devices: fully sharded data parallel (FSDP2)."""

from typing import cast

import torch
import torch.distributed as dist
from torch import nn
from torch._C._distributed_c10d import HashStore
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor

from aira_lib.models.language_model import ResidualLayer
from aira_lib.training.arithmetic import LanguageTrainer, Objective


class FsdpTrainer(LanguageTrainer):
    """A language model in training of which each rank holds its part of weights, gradients and moments.

    Mixers are gathered one at a time, used, and freed. Its kernels are PyTorch's own: the fused CPU kernels keep the
    memory of weights that must be freed.

    In bf16, mixers that have matrices alone (attention, MLP) are gathered in bf16, half the traffic: autocast would
    round them to the same numbers. All else is gathered in fp32 and rounded by autocast, or not at all: Mamba-2's
    A_log, D and dt_bias must not be. Gradients are added up in fp32.
    """

    kernel = "torch"

    def _spread(self, objective: Objective) -> nn.Module:
        _join_alone(self.device)
        mesh = init_device_mesh(self.device.type, (self.ranks.count,))
        for layer in objective.model.backbone.layers:
            mixer = cast(ResidualLayer, layer).mixer
            fully_shard(mixer, mesh=mesh, mp_policy=self._policy(mixer))
        fully_shard(objective, mesh=mesh, mp_policy=MixedPrecisionPolicy(cast_forward_inputs=False))
        return objective.to(self.device)

    def _policy(self, mixer: nn.Module) -> MixedPrecisionPolicy:
        matrices = {id(part.weight) for part in mixer.modules() if isinstance(part, nn.Linear)}
        narrow = self.precision == "bf16" and all(id(weight) in matrices for weight in mixer.parameters())
        gathered = torch.bfloat16 if narrow else None
        return MixedPrecisionPolicy(param_dtype=gathered, reduce_dtype=torch.float32, cast_forward_inputs=False)

    def _clipped_norm(self) -> float:
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.section.optimizer.clip)
        return float(cast(DTensor, norm).full_tensor())


def _join_alone(device: torch.device) -> None:
    """Sharding needs a group even where a process is alone."""
    if not dist.is_initialized():
        backend = "gloo" if device.type == "cpu" else "nccl"
        dist.init_process_group(backend, store=HashStore(), rank=0, world_size=1)
