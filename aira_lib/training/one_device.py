"""Train one language model on one device: the loop, its state and nothing else.

The data of a step is a function of (seed, step), so the whole state is the model, the optimizer and the step: a run
that was interrupted goes on from its last checkpoint to the same weights.
"""

import math
from collections.abc import Iterator, Mapping

import torch

from aira_lib.architecture.pattern import parse
from aira_lib.datasets.batches import Batches
from aira_lib.models.language_model import LanguageModel, parameter_groups
from aira_lib.models.optimizer import EagerAdamW
from aira_lib.models.precision import rounded
from aira_lib.records import PretrainPoint
from aira_lib.study import PretrainSection
from aira_lib.training.checkpoint import Part, Shards
from aira_lib.training.precision import effective_precision
from aira_lib.training.schedule import learning_rate
from aira_lib.training.trainer import StepResult


class OneDeviceTrainer:
    """A language model in training; see `aira_lib.training.trainers.Trainer`."""

    def __init__(self, section: PretrainSection, point: PretrainPoint, data: Batches, device: str) -> None:
        """Build the model from the point's seed.

        Args:
            section: data and optimizer settings.
            point: design, steps and seed.
            data: the batches of each step.
            device: a torch device such as "cpu" or "cuda:1".
        """
        self.section, self.point, self.data = section, point, data
        self.device = torch.device(device)
        self.precision = effective_precision(section, "cpu" if self.device.type == "cpu" else "cuda")
        self.scale = point.design.scale
        torch.manual_seed(point.seed)
        self.model = LanguageModel(parse(point.design.pattern), self.scale).to(self.device)
        self.optimizer = EagerAdamW(
            parameter_groups(self.model, section.optimizer.weight_decay),
            lr=0.0,
            betas=section.optimizer.betas,
            fused=True,
        )
        self.step = 0

    def state(self) -> dict[str, Shards]:
        """Everything that a resumed run needs besides the step."""
        return {"model": [self.model.state_dict()], "optimizer": [self.optimizer.state_dict()]}

    def load(self, step: int, state: Mapping[str, Part]) -> None:
        """Go on from a saved state."""
        self.step = step
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])

    def run(self) -> Iterator[StepResult]:
        """Train to the last step, giving each step's result; one that is not finite is the last one given."""
        while self.step < self.point.steps:
            result = self._one_step()
            yield result
            if not result.finite:
                return

    def _one_step(self) -> StepResult:
        rate = learning_rate(self.section.optimizer, self.scale, self.step, self.point.steps)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        loss = self._backward()
        norm = float(torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.section.optimizer.clip))
        if math.isfinite(loss) and math.isfinite(norm):
            self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.step += 1
        tokens = self.step * self.scale.tokens_per_step
        return StepResult(self.step, tokens, float(tokens) * self.point.design.flops_per_token, loss, rate, norm)

    def _backward(self) -> float:
        """Accumulate the gradient of the step's mean loss over micro-batches."""
        rows = self.scale.tokens_per_step // self.scale.seq_len
        per_pass = max(1, (self.section.micro_batch_tokens or self.scale.tokens_per_step) // self.scale.seq_len)
        total = torch.zeros((), device=self.device)
        for start in range(0, rows, per_pass):
            batch = self.data.rows(self.step, start, min(start + per_pass, rows))
            x, y = (torch.from_numpy(part).to(self.device) for part in (batch.inputs, batch.targets))
            with rounded(self.device, self.precision):
                loss = self.model.loss(x, y) * (len(x) / rows)
            loss.backward()  # type: ignore[no-untyped-call]
            total += loss.detach()
        return float(total)
