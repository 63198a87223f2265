"""A trainer from outside, named in AIRA_PLUGINS: plain gradient descent at one rate, weights in two shards."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch

from aira_lib.architecture.pattern import parse
from aira_lib.datasets.batches import Batches
from aira_lib.models.language_model import LanguageModel
from aira_lib.records import PretrainPoint
from aira_lib.study import PretrainSection
from aira_lib.training.checkpoint import Part, Shards
from aira_lib.training.trainer import StepResult
from aira_lib.training.trainers import TRAINERS

RATE = 0.05


class ToyTrainer:
    def __init__(self, section: PretrainSection, point: PretrainPoint, data: Batches, device: str) -> None:
        self.point, self.data, self.device, self.step = point, data, device, 0
        torch.manual_seed(point.seed)
        self.model = LanguageModel(parse(point.design.pattern), point.design.scale).to(device)

    def run(self) -> Iterator[StepResult]:
        scale = self.point.design.scale
        while self.step < self.point.steps:
            batch = self.data.rows(self.step)
            loss = self.model.loss(*(torch.from_numpy(part).to(self.device) for part in (batch.inputs, batch.targets)))
            gradients = torch.autograd.grad(loss, list(self.model.parameters()))
            with torch.no_grad():
                for weight, gradient in zip(self.model.parameters(), gradients, strict=True):
                    weight -= RATE * gradient
            self.step += 1
            tokens = self.step * scale.tokens_per_step
            norm = float(torch.stack([g.norm() for g in gradients]).norm())
            flops = float(tokens) * self.point.design.flops_per_token
            yield StepResult(self.step, tokens, flops, loss.item(), RATE, norm)

    def state(self) -> Mapping[str, Shards]:
        weights: dict[str, Any] = self.model.state_dict()
        names = list(weights)
        return {"model": [{name: weights[name] for name in names[start::2]} for start in (0, 1)]}

    def load(self, step: int, state: Mapping[str, Part]) -> None:
        self.step = step
        self.model.load_state_dict(state["model"])


TRAINERS.add("toy", ToyTrainer)
