"""The arithmetic of a training step, in one place for one device and for several: loss, accumulation, clipping, step.

The loss of a step is the mean over all its targets that count. Every pass (forward and backward) is weighted by its
share of them, and gradients are added up over passes and ranks in fp32: neither the size of a pass nor the number of
ranks changes more than the order of sums.

Products are rounded to bf16 by autocast over fp32 weights (`aira_lib.models.precision.rounded`), gradients, moments and
sums are fp32. The data of a step is a function of (seed, step), so the whole state is the model, the optimizer and the
step: a run that was interrupted goes on from its last checkpoint to the same weights.
"""

import math
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from aira_lib.architecture.pattern import parse
from aira_lib.datasets.batches import Batch, Batches
from aira_lib.models.language_model import IGNORE, LanguageModel, parameter_groups
from aira_lib.models.optimizer import EagerAdamW
from aira_lib.models.precision import rounded
from aira_lib.models.scan import Kernel
from aira_lib.records import PretrainPoint
from aira_lib.study import PretrainSection
from aira_lib.training.checkpoint import Part, Shards
from aira_lib.training.precision import effective_precision
from aira_lib.training.ranks import ranks_here
from aira_lib.training.regional import compile_layers
from aira_lib.training.schedule import learning_rate
from aira_lib.training.trainer import StepResult


class Objective(nn.Module):
    """The loss of a language model as a forward pass: what spreads a model over ranks hooks into that alone."""

    def __init__(self, model: LanguageModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, tokens: Tensor, targets: Tensor, documents: Tensor | None) -> Tensor:
        """Mean loss in nats of targets [rows, seq_len]; see `LanguageModel.loss`."""
        return self.model.loss(tokens, targets, documents)


@dataclass(frozen=True)
class Pass:
    """Rows that go through the model at once, and how many of their targets count."""

    rows: Batch
    counted: int


class LanguageTrainer:
    """A language model in training; see `aira_lib.training.trainer.Trainer`. This one knows no way to spread it."""

    kernel: Kernel = "auto"
    """Which kernels its layers may have (see `Backbone`)."""

    def __init__(self, section: PretrainSection, point: PretrainPoint, data: Batches, device: str) -> None:
        """Build the model from the point's seed.

        Args:
            section: optimizer settings, and how the model is computed.
            point: design, steps and seed.
            data: the batches of steps; this process takes its share of their rows.
            device: a torch device such as "cpu" or "cuda:1".

        Raises:
            UserError: there are more ranks than windows in a step.
        """
        self.section, self.point, self.data = section, point, data
        self.device = torch.device(device)
        self.ranks = ranks_here(self.device)
        self.precision = effective_precision(section, "cpu" if self.device.type == "cpu" else "cuda")
        self.scale = point.design.scale
        self.share = self.ranks.share(self.rows_per_step)
        torch.manual_seed(point.seed)
        self.model = LanguageModel(
            parse(point.design.pattern), self.scale, kernel=self.kernel, recompute=section.recompute
        )
        self.objective = self._spread(Objective(self.model))
        if section.compile and self.device.type == "cuda":
            compile_layers(self.model)
        self.optimizer = EagerAdamW(
            parameter_groups(self.model, section.optimizer.weight_decay),
            lr=0.0,
            betas=section.optimizer.betas,
            fused=True,
        )
        self._begin_moments()
        self.step = 0

    @property
    def rows_per_step(self) -> int:
        """Windows of a step, over all ranks."""
        return self.scale.tokens_per_step // self.scale.seq_len

    def state(self) -> Mapping[str, Shards]:
        """Everything that a resumed run needs besides the step; moments go by the names of their weights."""
        moments = {name: self.optimizer.state[weight] for name, weight in self.model.named_parameters()}
        return {"model": [self.model.state_dict()], "optimizer": [moments]}

    def load(self, step: int, state: Mapping[str, Part]) -> None:
        """Go on from a saved state."""
        self.step = step
        self.model.load_state_dict(state["model"])
        for name, weight in self.model.named_parameters():
            self.optimizer.state[weight] = {
                key: value.to(self.device) for key, value in state["optimizer"][name].items()
            }

    def run(self) -> Iterator[StepResult]:
        """Train to the last step, giving each step's result; one that is not finite changed nothing but the count."""
        while self.step < self.point.steps:
            yield self._one_step()

    def _begin_moments(self) -> None:
        """As AdamW begins them in its first step, but before it: what several ranks read is read into what is there."""
        for weight in self.model.parameters():
            self.optimizer.state[weight] = {
                "step": torch.zeros((), dtype=torch.float32, device=self.device),
                "exp_avg": torch.zeros_like(weight, requires_grad=False),
                "exp_avg_sq": torch.zeros_like(weight, requires_grad=False),
            }

    # --- what differs where a model is spread over ranks --------------------------------------------------------------

    def _spread(self, objective: Objective) -> nn.Module:
        """Put the model where it is computed; what is returned is called in the objective's place."""
        return objective.to(self.device)

    def _backward_of(self, last: bool) -> AbstractContextManager[None]:
        """Around every pass of a step; gradients are exchanged in the last one at the latest."""
        return nullcontext()

    def _clipped_norm(self) -> float:
        """Clip the gradient, and say which norm it had."""
        return float(torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.section.optimizer.clip))

    # --- one step -----------------------------------------------------------------------------------------------------

    def _one_step(self) -> StepResult:
        rate = learning_rate(self.section.optimizer, self.scale, self.step, self.point.steps)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        of_mine = self._backward()
        norm = self._clipped_norm()
        loss, spoilt = self.ranks.sums([of_mine, float(not math.isfinite(of_mine) or not math.isfinite(norm))])
        if not spoilt:
            self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.step += 1
        tokens = self.step * self.scale.tokens_per_step
        flops = float(tokens) * self.point.design.flops_per_token
        return StepResult(self.step, tokens, flops, loss, rate, norm)

    def _backward(self) -> float:
        """Accumulate the gradient of the step's mean loss; what this rank's rows contribute to that mean."""
        passes = self._passes()
        (counted,) = self.ranks.sums([float(sum(each.counted for each in passes))])
        total = torch.zeros((), device=self.device)
        for number, each in enumerate(passes):
            with self._backward_of(last=number == len(passes) - 1):
                loss = self._loss(each.rows) * (each.counted / counted)
                # Ranks exchange the mean of their gradients; the step's is the sum.
                (loss * self.ranks.count).backward()  # type: ignore[no-untyped-call]
            total += loss.detach()
        return float(total)

    def _loss(self, rows: Batch) -> Tensor:
        inputs, targets = (torch.from_numpy(part).to(self.device) for part in (rows.inputs, rows.targets))
        documents = None if rows.documents is None else torch.from_numpy(rows.documents).to(self.device)
        with rounded(self.device, self.precision):
            return self.objective(inputs, targets, documents)  # type: ignore[no-any-return]

    def _passes(self) -> list[Pass]:
        """What this rank computes of a step: as many passes on each rank, for all take part in each of them."""
        start, stop = self.share
        mine = self.data.rows(self.step, start, stop)
        tokens = self.section.micro_batch_tokens or self.scale.tokens_per_step
        each = max(1, min(tokens // self.scale.seq_len, self.ranks.largest_share(self.rows_per_step)))
        count = math.ceil(self.ranks.largest_share(self.rows_per_step) / each)
        return [_pass(mine, number * each, (number + 1) * each) for number in range(count)]


def _pass(rows: Batch, start: int, stop: int) -> Pass:
    """Rows [start, stop) of a batch; where no target of them counts, a row whose loss is finite and weighs nothing."""
    part = _slice(rows, start, stop)
    counted = int((part.targets != IGNORE).sum())
    if counted:
        return Pass(part, counted)
    first = _slice(rows, 0, 1)
    return Pass(replace(first, targets=first.inputs), 0)


def _slice(rows: Batch, start: int, stop: int) -> Batch:
    documents = None if rows.documents is None else rows.documents[start:stop]
    return Batch(rows.inputs[start:stop], rows.targets[start:stop], documents)
