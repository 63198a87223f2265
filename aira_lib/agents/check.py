"""One call to a model, to see before a long search whether it answers and how."""

import time
from collections.abc import Mapping
from dataclasses import dataclass

from aira_lib.agents.bounds import ReplyError
from aira_lib.agents.model import Model, Recorded, Reply, TellsSettings
from aira_lib.agents.prompt import Situation, render_prompt
from aira_lib.agents.providers import model_named
from aira_lib.agents.reply import ended, parse_reply
from aira_lib.study.agent import CandidateLimits, ReasoningEffort

_SITUATION = Situation(
    description="Design a sequence model as a stack of 4 layers, each one of A (attention) and M (an MLP). Write "
    "submission.csv: the header line `layer`, then one layer a line, from input to output.",
    primitives=("A", "M"), layers=4, data_overview="There is no data in this exercise.", limits=CandidateLimits(),
    cores=1, seconds_left=600.0, steps_left=1,
)  # fmt: skip


@dataclass(frozen=True)
class ModelCheck:
    """What one call showed.

    Attributes:
        model: The model's name.
        seconds: How long the reply took.
        usage: Tokens and dollars, as far as they are known.
        problem: Why the reply holds no program; empty if it holds one.
        accepted: Which settings have an effect; None where that is not known.
        note: What else there is to say.
    """

    model: str
    seconds: float
    usage: Mapping[str, float]
    problem: str
    accepted: Mapping[str, bool | None]
    note: str = ""

    def lines(self) -> list[str]:
        """The findings in words, one a line."""
        tokens = self.usage.get("total_tokens")
        counted = " (estimated: the provider does not count)" if self.usage.get("estimated") else ""
        dollars = self.usage.get("dollars")
        said = {True: "accepted", False: "has no effect", None: "unknown"}
        return [
            f"{self.model}: {self.note or 'answers'}",
            f"latency: {self.seconds:.2f} s",
            f"tokens: {'none counted' if tokens is None else f'{tokens:.0f}{counted}'}",
            f"price: {'unknown; max_dollars cannot be kept' if dollars is None else f'{dollars:.6f} dollars'}",
            *(f"{name}: {said[value]}" for name, value in self.accepted.items()),
            f"reply: {self.problem or 'holds a plan and a program'}",
        ]


def check_model(name: str, temperature: float = 1.0, reasoning_effort: ReasoningEffort = "none") -> ModelCheck:
    """Ask a model for the draft of a small design, once (a busy provider is tried again as in a search).

    Raises:
        UserError: it cannot be reached or refuses, or (replay) there is no recording; one line with the remedy.
    """
    model = model_named(name, temperature, reasoning_effort)
    started = time.monotonic()
    reply, note = _ask(model)
    seconds = time.monotonic() - started
    try:
        parse_reply(reply.text, _SITUATION.artefact, reply.finish == "length")
        problem = ""
    except ReplyError as error:
        problem = "; ".join(part for part in (str(error), ended(reply.finish)) if part)
    return ModelCheck(name, seconds, reply.usage, problem, _accepted(model), note)


def _ask(model: Model) -> tuple[Reply, str]:
    if isinstance(model, Recorded):
        return model.first(), f"{len(model.replies)} recorded replies; the first one:"
    return model.reply(render_prompt("draft", _SITUATION, [], None), seed=0), ""


def _accepted(model: Model) -> dict[str, bool | None]:
    if isinstance(model, TellsSettings):
        return model.accepted()
    return {"temperature": False, "seed": True}
