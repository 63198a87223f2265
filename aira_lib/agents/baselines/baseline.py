"""A baseline as a model: it takes what was observed from a prompt and answers with a program that writes a design."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from aira_lib.agents.model import Reply
from aira_lib.agents.moves import Layers, Rng
from aira_lib.agents.prompt import ANALYSE, Prompt, read_memory
from aira_lib.architecture.pattern import parse

_PROGRAM = """\
layers = "{layers}".split()

with open("submission.csv", "w", encoding="utf-8") as file:
    file.write("\\n".join(["layer", *layers]) + "\\n")
"""


@dataclass(frozen=True)
class History:
    """What a search observed so far, in the order of its steps.

    Attributes:
        primitives: The kinds of layer.
        n_layers: The layers of a design.
        designs: What was evaluated.
        fitness: The validation fitness of each, more is better; None of those that failed, such as by diverging.
    """

    primitives: tuple[str, ...]
    n_layers: int
    designs: tuple[Layers, ...] = ()
    fitness: tuple[float | None, ...] = ()

    @classmethod
    def of(cls, prompt: Prompt) -> "History":
        """Read it from a prompt; the prompt's observations hold no test fitness."""
        memory = read_memory(prompt.text)
        seen = prompt.observations
        return cls(
            primitives=tuple(memory["primitives"]),
            n_layers=memory["layers"],
            designs=tuple(parse(observation.design) for observation in seen),
            fitness=tuple(observation.fitness for observation in seen),
        )

    def scored(self) -> list[tuple[Layers, float]]:
        """The designs that did not fail."""
        return [
            (design, fitness) for design, fitness in zip(self.designs, self.fitness, strict=True) if fitness is not None
        ]


Propose = Callable[[History, Rng], tuple[Layers, str]]
"""What a baseline is: the next design and why, of what was observed and a step's random numbers."""


@dataclass(frozen=True)
class Baseline:
    """A baseline as a model. Its replies depend on the prompt's task and observations and on the seed, on no words."""

    name: str
    propose: Propose

    def reply(self, prompt: Prompt, seed: int) -> Reply:
        """Answer a prompt, whatever its operator, with the next design."""
        if read_memory(prompt.text)["operator"] == ANALYSE:
            return Reply(f"[baseline {self.name}] It does not look back in words.", {"calls": 1.0})
        layers, why = self.propose(History.of(prompt), np.random.default_rng(seed))
        program = _PROGRAM.format(layers=" ".join(layers))
        return Reply(f"[baseline {self.name}] {why}\n\n```python\n{program}```\n", {"calls": 1.0})
